/** What MinIO's client prints of a healing. */

/** What `mc --json` prints of one object, as it was and as it is on two drives. */
export const item = (before: string, after: string, state = "ok"): string => {
  const side = (color: string, second: string) => ({
    color,
    online: 2,
    drives: [
      { uuid: "", endpoint: "http://minio-a:9000/data", state: "ok" },
      { uuid: "", endpoint: "http://minio-b:9000/data", state: second },
    ],
  });
  const whole = { status: "success", type: "object", name: "registry/a", before: side(before, "missing") };
  return JSON.stringify({ ...whole, after: side(after, state), size: 9 });
};

export const summary = (scanned: number, done: number): string =>
  JSON.stringify({
    status: "success",
    type: "summary",
    objects_scanned: scanned,
    objects_healed: done,
    size: 9,
  });

export const failure = (cause: string): string =>
  JSON.stringify({
    status: "error",
    error: { message: "It did not work", cause: { message: cause, error: {} }, type: "fatal" },
  });

export const prints = (...lines: string[]): string => `cat <<'END'\n${lines.join("\n")}\nEND\n`;

/** What `mc --json` prints of one object that is on all drives but the second one, which is in this state. */
export const reached = (state: string): string => {
  const drives = [{ state: "ok" }, { state }];
  return prints(JSON.stringify({ type: "object", before: { drives }, after: { drives } }), summary(1, 0));
};

export const healed = prints(
  item("green", "green"),
  item("yellow", "green"),
  item("grey", "grey", "missing"),
  summary(3, 1),
);
