import { etcdContainer, installMarkerPath } from "@moorage/render";
import { expect, it } from "vitest";
import { ETCD_CONTAINER, INSTALL_MARKER } from "../../../hosts/src/rendered";

it("what is asked for on a node is called what the renderer calls it", () => {
  expect([INSTALL_MARKER, ETCD_CONTAINER]).toEqual([installMarkerPath, etcdContainer]);
});
