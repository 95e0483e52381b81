import { expect, it } from "vitest";
import { awaitMember, memberServes } from "../../../hosts/src/etcd/back";
import { Sandbox } from "./support/sandbox";

/** A member whose health check fails while the file `down` has lines left, one fewer each time. */
const docker = `#!/bin/sh
[ "$*" = "exec moorage-etcd etcdctl endpoint health" ] || exit 64
[ -s "$FAKE/down" ] || exit 0
sed -i 1d "$FAKE/down"
exit 1
`;

it("a member that serves is known by its own health check, and one that is coming back is waited for", async () => {
  const sandbox = await Sandbox.start({ docker });
  const connection = sandbox.server.connection();
  expect(await memberServes(connection)).toBe(true);
  sandbox.write("down", "1\n2\n");
  expect(await memberServes(connection)).toBe(false);
  await awaitMember(connection);
  expect(await memberServes(connection)).toBe(true);
});

it("a node without a member, or without Docker, has none that serves", async () => {
  const without = await Sandbox.start({ docker: "#!/bin/sh\necho 'No such container' >&2\nexit 1\n" });
  expect(await memberServes(without.server.connection())).toBe(false);
  expect(await memberServes({ ...without.server.connection(), port: 1 })).toBe(false);
});
