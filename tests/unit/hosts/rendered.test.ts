import { etcdContainer, etcdScriptPath, installMarkerPath } from "@moorage/render";
import { expect, it } from "vitest";
import { ETCD_CONTAINER, ETCD_SCRIPT, INSTALL_MARKER } from "../../../hosts/src/rendered";

it("what is asked for on a node is called what the renderer calls it", () => {
  expect([INSTALL_MARKER, ETCD_CONTAINER, ETCD_SCRIPT]).toEqual([
    installMarkerPath,
    etcdContainer,
    etcdScriptPath,
  ]);
});
