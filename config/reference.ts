/** The reference page of the configuration, written from the schemas: `npm run -s docs`. */
import { z } from "zod";
import { subjects } from "./stack";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly not?: unknown;
}

const head = `# Configuration

Every key of a stack's configuration, in the namespace \`moorage\`. This page is written from the schemas in
\`config/\` by \`npm run -s docs\`. Unknown keys are refused; all mistakes are told at once, before anything is touched.

Passwords and keys are made by the program; none is written into a stack file. A secret of your own goes there encrypted,
value by value, as \`pulumi config set --secret --path 'moorage:os.files["/etc/own/token"].content'\` does it: the content
of files, units and drop-ins, and the proxies' URLs. It stays secret in state and previews, while the node's users can
read what the file's permissions allow. Any other secret value is refused, as it would show; what else is wrong with its
subject, or between subjects, is told once it is gone, as that might show it, too.
`;

export function configurationReference(): string {
  return (
    head +
    Object.entries(subjects)
      .map(([name, schema]) => section(name, schema))
      .join("")
  );
}

function section(name: string, schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Schema;
  const rows = rowsOf(name, json, false);
  return [`\n## \`moorage:${name}\`\n`, "| key | value | default | |", "|---|---|---|---|", ...rows, ""].join(
    "\n",
  );
}

function rowsOf(path: string, schema: Schema, required: boolean): string[] {
  const rows = schema.properties && !schema.description ? [] : [row(path, schema, required)];
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    rowsOf(`${path}.${key}`, value, schema.required?.includes(key) ?? false),
  );
  const each = schema.additionalProperties;
  const mapped = typeof each === "object" && each.properties ? rowsOf(`${path}.NAME`, each, false) : [];
  const listed = schema.items?.properties ? rowsOf(`${path}[]`, schema.items, false) : [];
  return [...rows, ...inner, ...mapped, ...listed];
}

function row(path: string, schema: Schema, required: boolean): string {
  const fallback =
    schema.default === undefined ? (required ? "required" : "") : `\`${JSON.stringify(schema.default)}\``;
  return `| \`${path}\` | ${kind(schema)} | ${fallback} | ${(schema.description ?? "").replaceAll("|", "\\|")} |`;
}

function kind(schema: Schema): string {
  if (schema.not) return "—";
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  if (schema.type === "array") return `list of ${schema.items ? kind(schema.items) : "values"}`;
  if (schema.type === "object") {
    return schema.properties ? `{ ${Object.keys(schema.properties).join(", ")} }` : "map by name";
  }
  const range = schema.minimum !== undefined && schema.type === "integer" ? ` from ${schema.minimum}` : "";
  const top = schema.maximum !== undefined && schema.maximum < 1e9 ? ` to ${schema.maximum}` : "";
  return `${schema.type ?? "value"}${range}${top}`;
}
