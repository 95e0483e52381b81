/** One thing that stands in the way: what it is, and what to do about it. */
export interface Problem {
  readonly what: string;
  readonly advice: string;
}
