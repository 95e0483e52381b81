import prettier from "eslint-config-prettier";
import tseslint from "typescript-eslint";

/** Which folders a folder, or a file beside them, may import from, besides packages and itself. */
const layers = {
  "index.ts": ["config", "components"],
  "config.ts": ["config", "render"],
  config: ["render"],
  components: ["config", "providers", "render"],
  providers: ["hosts"],
  hosts: ["render"],
  render: [],
  ops: ["config", "hosts", "render"],
  toolchain: [],
};
/** What a layer may not have beyond that: packages, or the code of a folder whose types it may have. */
const without = {
  hosts: [
    {
      regex: "^(\\.\\./)+render(/|$)|^@moorage/render(/|$)",
      message: "hosts/ may import types of render/, and no more of it (docs/architecture.md)",
      allowTypeImports: true,
    },
    { regex: "^@pulumi/", message: "hosts/ is a package without Pulumi (docs/architecture.md)" },
  ],
  render: [
    {
      regex: "^(?!\\.|@moorage/|node:crypto$)",
      message:
        "render/ is values in, text out: it may import node:crypto and ./asset alone (docs/architecture.md)",
    },
  ],
};
const folders = [
  "config",
  "components",
  "providers",
  "hosts",
  "render",
  "ops",
  "lab",
  "toolchain",
  "tests",
  "bench",
];

/** A rule that refuses imports of the folders outside a layer's list, by path and by package name. */
function layer(folder, allowed) {
  const refused = folders.filter((other) => other !== folder && !allowed.includes(other));
  const isFile = folder.endsWith(".ts");
  return {
    files: [isFile ? folder : `${folder}/**/*.ts`],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: `^${isFile ? "\\./" : "(\\.\\./)+"}(${refused.join("|")})(/|$)|^@moorage/(${refused.join("|")})$`,
              message: `${folder}/ may import ${allowed.join(", ") || "no other folder"} (docs/architecture.md)`,
              allowTypeImports: folder === "components",
            },
            {
              regex: "^(\\.\\./)+(config|index)$",
              message: "index.ts alone imports config.ts, and nothing index.ts (docs/architecture.md)",
            },
            ...(without[folder] ?? []),
          ],
        },
      ],
    },
  };
}

export default tseslint.config(
  { ignores: ["**/dist/", "node_modules/", ".lab/", "coverage/"] },
  ...tseslint.configs.recommended,
  ...tseslint.configs.stylistic,
  {
    rules: {
      "max-lines": ["error", { max: 400 }],
      "max-lines-per-function": ["error", { max: 60, skipComments: true }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "off",
    },
  },
  {
    // A provider is written into the state as code: what it needs it has to require where it runs.
    files: ["providers/operation.ts"],
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
  {
    files: ["components/**/*.ts", "providers/**/*.ts", "config/**/*.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "MemberExpression[object.name='pulumi'][property.name='Config'], MemberExpression[property.name=/^(allConfig|isConfigSecret)$/], ImportSpecifier[imported.name='Config']",
          message: "config.ts alone reads the stack's configuration, and hands it over as one object",
        },
      ],
    },
  },
  { files: ["tests/**/*.ts"], rules: { "max-lines-per-function": "off" } },
  {
    // On a busy machine everything takes longer: a test waits for conditions (CONTRIBUTING.md).
    files: ["tests/**/*.ts"],
    ignores: ["tests/proof/**", "tests/support/{waiting,parts}.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "BinaryExpression[operator=/^(-|<|>|<=|>=)$/]:has(CallExpression[callee.object.name=/^(Date|performance)$/][callee.property.name='now'])",
          message: "no test compares elapsed time: use until, stays or timed (tests/support/waiting.ts)",
        },
        {
          selector: "NewExpression[callee.name='Promise'] CallExpression[callee.name='setTimeout']",
          message: "no test sleeps: use until or stays (tests/support/waiting.ts)",
        },
        {
          selector:
            "ImportDeclaration[source.value='node:timers/promises'] ImportSpecifier[imported.name='setTimeout']",
          message: "no test sleeps: use until or stays (tests/support/waiting.ts)",
        },
      ],
    },
  },
  {
    // Whom a set-up asks is what apt, npm, Go and Pulumi are configured to ask; tests/setup/ watches them at it.
    files: ["lab/**/*.ts", "toolchain/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        { name: "fetch", message: "nothing is fetched past apt, npm, Go and Pulumi" },
      ],
      "no-restricted-imports": [
        "error",
        ...["https", "http2", "undici"].flatMap((name) =>
          [name, `node:${name}`].map((module) => ({
            name: module,
            message: "nothing is fetched past apt, npm, Go and Pulumi",
          })),
        ),
      ],
    },
  },
  ...Object.entries(layers).map(([folder, allowed]) => layer(folder, allowed)),
  {
    // The package's own files are a part of its text.
    files: ["render/src/asset.ts"],
    rules: { "@typescript-eslint/no-restricted-imports": "off" },
  },
  prettier,
);
