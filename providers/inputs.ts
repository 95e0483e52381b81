import type { Input } from "@pulumi/pulumi";

type Plain = string | number | boolean | undefined;

/** A plain type with an output allowed wherever a value may stand. */
export type Inputs<T> = [T] extends [Plain]
  ? Input<T>
  : T extends readonly (infer Item)[]
    ? Input<readonly Inputs<Item>[]>
    : Input<{ readonly [Key in keyof T]: Inputs<T[Key]> }>;

/** The arguments of a dynamic resource, from the inputs of its operation. */
export type ArgsOf<T> = { readonly [Key in keyof T]: Inputs<T[Key]> };
