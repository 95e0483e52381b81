import * as pulumi from "@pulumi/pulumi";
import type { NodeFiles } from "@moorage/render";
import { withSecretsAs } from "../config/secrets";
import type { StackConfig } from "../config/stack";
import type { Inputs } from "../providers/inputs";

/** The configuration with other texts for its secrets: what is rendered from it differs where a secret shows. */
export function withoutSecrets(config: StackConfig): StackConfig {
  return withSecretsAs(config, (path) => `(${path})`);
}

/** A value whose texts are secret where the other value's are not the same. */
export function secretWhereOther<Value>(value: Value, other: Value): Inputs<Value> {
  return marked(value, other) as Inputs<Value>;
}

function marked(value: unknown, other: unknown): unknown {
  if (typeof value !== "object" || value === null) return value === other ? value : pulumi.secret(value);
  const others = (other ?? {}) as Record<string, unknown>;
  const entries = Object.entries(value).map(([key, inner]) => [key, marked(inner, others[key])] as const);
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}

/**
 * Puts outputs where a rendered text has their placeholders. Only the files that hold one become outputs, and
 * only those with a secret become secret, so that a preview still shows the rest.
 * @param other the same rendered without the configuration's secrets
 */
export function fillIn(
  rendered: NodeFiles,
  values: Readonly<Record<string, pulumi.Output<string>>>,
  other: NodeFiles = rendered,
): {
  files: Inputs<Record<string, NodeFiles["files"][string]>>;
  units: Inputs<Record<string, NodeFiles["units"][string]>>;
} {
  const files = Object.fromEntries(
    Object.entries(rendered.files).map(([path, file]) => [
      path,
      {
        ...file,
        content:
          file.content === other.files[path]?.content
            ? fill(file.content, values)
            : pulumi.secret(fill(file.content, values)),
      },
    ]),
  );
  return { files, units: secretWhereOther(rendered.units, other.units) };
}

function fill(text: string, values: Readonly<Record<string, pulumi.Output<string>>>): pulumi.Input<string> {
  const present = Object.keys(values).filter((placeholder) => text.includes(placeholder));
  if (present.length === 0) {
    return text;
  }
  return pulumi
    .all(present.map((placeholder) => values[placeholder]))
    .apply((found) =>
      present.reduce((filled, placeholder, at) => filled.split(placeholder).join(found[at] ?? ""), text),
    );
}
