import * as pulumi from "@pulumi/pulumi";
import type { NodeFiles } from "@moorage/render";
import type { Inputs } from "../providers/inputs";

/**
 * Puts outputs where a rendered text has their placeholders. Only the files that hold one become outputs, and
 * only those with a secret become secret, so that a preview still shows the rest.
 */
export function fillIn(
  rendered: NodeFiles,
  values: Readonly<Record<string, pulumi.Output<string>>>,
): {
  files: Inputs<Record<string, NodeFiles["files"][string]>>;
  units: Inputs<Record<string, NodeFiles["units"][string]>>;
} {
  const files = Object.fromEntries(
    Object.entries(rendered.files).map(([path, file]) => [
      path,
      { ...file, content: fill(file.content, values) },
    ]),
  );
  return { files, units: rendered.units };
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
