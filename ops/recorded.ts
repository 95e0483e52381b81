/** What a stack's resources came to, as its state has it. */
import { unwrapped, type RecordedResource } from "@moorage/hosts";

/** What stands where a value is not known, or not to be shown. */
export function placeholder(what: string, secrets: boolean): string {
  return secrets ? `(${what}: made by the first pulumi up)` : `(${what}: shown with --secrets)`;
}

/** Outputs of resources, by the names that the program gives them. */
export class Recorded {
  /** Whether everything asked for so far was there and may be shown. */
  complete = true;

  constructor(
    private readonly resources: readonly RecordedResource[],
    private readonly secrets: boolean,
  ) {}

  /** An output that is no secret, without blanks around it. */
  value(name: string, output: string, what: string): string {
    return this.text(name, output, what).trim();
  }

  /** The same as it is. */
  text(name: string, output: string, what: string): string {
    const found = this.output(name, output);
    if (found !== undefined) return found;
    this.complete = false;
    return placeholder(what, true);
  }

  /** `project/stack`, by the URN of one of its resources. */
  stack(name: string, what: string): string {
    const [, stack, project] = /^urn:pulumi:([^:]+)::([^:]+)::/.exec(this.resource(name)?.urn ?? "") ?? [];
    return stack === undefined ? placeholder(what, true) : `${project}/${stack}`;
  }

  secret(name: string, output: string, what: string): string {
    const found = this.secrets ? this.output(name, output) : undefined;
    if (found !== undefined) return output === "stdout" ? found.trim() : found;
    this.complete = false;
    return placeholder(what, this.secrets);
  }

  private output(name: string, output: string): string | undefined {
    const found = unwrapped(this.resource(name)?.outputs?.[output]);
    return typeof found === "string" ? found : undefined;
  }

  private resource(name: string): RecordedResource | undefined {
    return this.resources.find((one) => one.urn?.split("::").at(-1) === name && !one.delete);
  }
}
