import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { installHashOf, nodeBaseFiles, renderSetPasswords, renderUserData } from "@moorage/render";
import type { UserDataModel } from "@moorage/render";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { flatcar } from "../../golden/models";
import { anyFiles, anyNode } from "../../property/nodes";
import { appliedCloudConfig } from "../../support/userData";
import "../../property/seed";

/** Stands for chpasswd: writes the hashes into the users' lines. */
const chpasswd = `#!/bin/sh
[ "$*" = -e ] || exit 64
while IFS=: read -r user hash; do
  if [ "$user" = "$(cat "$FAKE/locked" 2>/dev/null)" ]; then echo "cannot lock" >&2; exit 1; fi
  grep -q "^$user:" "$FAKE/shadow" || { echo "no user $user" >&2; exit 1; }
  awk -F : -v OFS=: -v user="$user" -v hash="$hash" '$1 == user { $2 = hash } { print }' "$FAKE/shadow" > "$FAKE/shadow.new"
  mv "$FAKE/shadow.new" "$FAKE/shadow"
done
`;
const systemctl =
  '#!/bin/sh\n[ "$1" = is-system-running ] && cat "$FAKE/system"\n[ "$(cat "$FAKE/system")" = running ]\n';

/** Notes what everybody can read while it runs. */
const grep = '#!/bin/sh\necho "$*" >> "$FAKE/command-lines"\nexec /bin/grep "$@"\n';
const sleep = "#!/bin/sh\n";

let folder: string;
const at = (name: string): string => path.join(folder, name);
const write = (name: string, text: string): void => fs.writeFileSync(at(name), text);
const read = (name: string): string => fs.readFileSync(at(name), "utf8");
const hashes = (): Record<string, string | undefined> =>
  Object.fromEntries(
    read("shadow")
      .trimEnd()
      .split("\n")
      .map((line) => line.split(":").slice(0, 2)),
  );

function run(verb: "give" | "take"): void {
  execFileSync("sh", [at("set-passwords"), verb], {
    stdio: "pipe",
    env: { FAKE: folder, PATH: `${at("bin")}:${process.env["PATH"] ?? ""}` },
  });
}

/** What it says when it fails. */
function failing(verb: "give" | "take"): string {
  try {
    run(verb);
  } catch (error) {
    return String((error as { stderr?: unknown }).stderr);
  }
  throw new Error(`${verb} did not fail`);
}

const hash = (name: string): string => `$6$salt$${name}/x.`;
const others = "core:*:1::::::\nusera:!:1::::::\nuserb:!:1::::::\n";

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-passwords-"));
  fs.mkdirSync(at("bin"));
  for (const [name, text] of Object.entries({ chpasswd, systemctl, grep, sleep }))
    fs.writeFileSync(at(`bin/${name}`), text, { mode: 0o755 });
  const script = renderSetPasswords({
    passwords: at("passwords"),
    given: at("run/given"),
    shadow: at("shadow"),
    userData: [at("none"), at("user_data")],
  });
  write("set-passwords", script);
  write("shadow", others);
  write("system", "running");
  write("passwords", `usera:${hash("a")}\nuserb:${hash("b")}\n`);
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

describe("a node's passwords", () => {
  it("are taken from where both installers put the user data", () => {
    for (const installer of ["flatcar", "coreos"])
      expect(renderSetPasswords()).toContain(`/var/lib/${installer}-install/user_data`);
  });

  it("are those of the configuration, and taken back they are gone", () => {
    run("give");
    expect(hashes()).toEqual({ core: "*", usera: hash("a"), userb: hash("b") });
    // The part's new files are there before its unit is restarted.
    write("passwords", `userb:${hash("b")}\n`);
    run("take");
    run("give");
    expect(hashes()).toEqual({ core: "*", usera: "*", userb: hash("b") });
    run("take");
    expect(hashes()).toEqual({ core: "*", usera: "*", userb: "*" });
    expect(fs.readdirSync(at("run"))).toEqual([]);
  });

  it("are taken where nothing is noted, as by a program before this one", () => {
    write("shadow", others.replace("usera:!", `usera:${hash("a")}`));
    run("take");
    expect(hashes()).toEqual({ core: "*", usera: "*", userb: "!" });
    expect(read("passwords")).toContain("usera:$6$");
  });

  it("stay where somebody has set others on the node", () => {
    run("give");
    write("shadow", read("shadow").replace(hash("a"), "$6$own$own"));
    run("take");
    expect(hashes()).toMatchObject({ usera: "$6$own$own", userb: "*" });
  });

  it("stay for a console when the node goes down", () => {
    run("give");
    write("system", "stopping");
    run("take");
    expect(hashes()).toMatchObject({ usera: hash("a"), userb: hash("b") });
  });

  it("are noted where root alone reads them", () => {
    run("give");
    expect(fs.statSync(at("run/given")).mode & 0o777).toBe(0o600);
    run("take");
    expect(read("command-lines")).toContain("-qFf -");
    expect(read("command-lines")).not.toContain("$6$");
  });

  it("that cannot be taken keep none of the others, are told, and taken before new ones are given", () => {
    run("give");
    write("locked", "usera");
    const told = "passwords that could not be taken: usera \n";
    expect(failing("take")).toContain(told);
    expect(hashes()).toMatchObject({ usera: hash("a"), userb: "*" });
    expect(read("run/given")).toBe(`usera:${hash("a")}\n`);
    expect(fs.statSync(at("run/given")).mode & 0o777).toBe(0o600);
    write("passwords", `userb:${hash("c")}\n`);
    expect(failing("give")).toContain(told);
    expect(hashes()).toMatchObject({ usera: hash("a"), userb: "*" });
    fs.rmSync(at("locked"));
    run("give");
    expect(hashes()).toMatchObject({ usera: "*", userb: hash("c") });
    expect(read("run/given")).toBe(`userb:${hash("c")}\n`);
  });

  it("are tried again where the users' files are locked for a moment", () => {
    run("give");
    write("locked", "usera");
    fs.writeFileSync(at("bin/sleep"), '#!/bin/sh\nrm -f "$FAKE/locked"\n', { mode: 0o755 });
    run("take");
    expect(hashes()).toMatchObject({ usera: "*", userb: "*" });
    expect(fs.readdirSync(at("run"))).toEqual([]);
  });

  it("stay noted where nobody can tell whether they are set", () => {
    run("give");
    fs.renameSync(at("shadow"), at("elsewhere"));
    expect(failing("take")).toContain("could not be taken: usera userb \n");
    fs.renameSync(at("elsewhere"), at("shadow"));
    run("take");
    expect(hashes()).toMatchObject({ usera: "*", userb: "*" });
  });

  it.each([flatcar, { ...flatcar, distribution: "coreos" as const, timeZone: undefined }])(
    "leave a cloud-config, which would set them at the next boot, with the former one of a changed password: %#",
    (model) => {
      const users = model.users.map((user) =>
        user.name === "core" ? user : { ...user, passwordHash: hash("former") },
      );
      const more = { name: "userc", groups: [], sshAuthorizedKeys: [], passwordHash: hash("c") };
      const before = { ...model, users: [...users, more] };
      const text = renderUserData(before, { format: "cloud-config", installHash: installHashOf(before) });
      fs.writeFileSync(at("user_data"), text, { mode: 0o600 });
      run("give");
      run("take");
      const without = text.replace(`    passwd: "${hash("former")}"\n`, "");
      expect(without).not.toBe(text);
      expect(read("user_data")).toBe(without);
      const { users: left } = appliedCloudConfig(without);
      expect(left.usera?.passwordHash).toBeUndefined();
      expect(left.userc).toMatchObject({ passwordHash: hash("c") });
      expect(fs.statSync(at("user_data")).mode & 0o777).toBe(0o600);
      expect(fs.readdirSync(folder).filter((name) => name.startsWith("user_data"))).toEqual(["user_data"]);
    },
  );

  it("leave any cloud-config by that one line alone", () => {
    fc.assert(
      fc.property(anyNode("flatcar", "coreos"), fc.option(anyFiles), (model, files) => {
        const [first] = model.users.filter(({ name }) => name !== "core");
        fc.pre(first !== undefined);
        const rendered = (of: UserDataModel): string =>
          renderUserData(of, { format: "cloud-config", installHash: "", files: files ?? undefined });
        const withoutHash = model.users.map((user) =>
          user === first ? { ...user, passwordHash: undefined } : user,
        );
        write("passwords", `${first.name}:${hash("x")}\n`);
        write("user_data", rendered(model));
        run("take");
        expect(read("user_data")).toBe(rendered({ ...model, users: withoutHash }));
      }),
      { numRuns: 12 },
    );
  });

  it("leave alone a file's text that looks the same", () => {
    const text =
      '  - name: "userz"\nwrite_files:\n  - content: |\n      - name: "usera"\n        passwd: "x"\n';
    write("user_data", text);
    run("take");
    expect(read("user_data")).toBe(text);
  });

  it("are set by a unit that gives them when it starts, and takes them when it stops", () => {
    const { files, units } = nodeBaseFiles({
      ...{ distribution: "flatcar", docker: {}, registryNames: [], caCertificate: "", noProxy: [] },
      passwords: [{ name: "usera", passwordHash: hash("a") }],
    });
    expect(files["/etc/moorage/set-passwords"]?.content).toBe(renderSetPasswords());
    const unit = units["moorage-passwords.service"]?.content;
    expect(unit).toContain("\nExecStart=/bin/sh /etc/moorage/set-passwords give\n");
    expect(unit).toContain("\nExecStop=/bin/sh /etc/moorage/set-passwords take\n");
  });
});
