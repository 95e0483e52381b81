import { overlayMtu, overlayMtuOption } from "@moorage/render";
import { describe, expect, test } from "vitest";
import { parseStackConfig } from "../../../config/stack";
import { underlayMtu } from "../../../config/underlay";
import { rawStack, type RawConfig } from "../../support/stacks";

describe("an overlay's MTU", () => {
  // 1450 and 1424 are what `ip link` shows in containers of any Docker whose nodes have Ethernet's MTU.
  test.each([
    [1500, false, 1450],
    [1500, true, 1424],
    [9000, false, 8950],
    [9000, true, 8924],
    [1400, true, 1324],
    // ESP pads to four bytes.
    [1501, true, 1424],
    [1503, true, 1424],
    [1504, true, 1428],
  ])("below an interface of %i, encrypted %s, is %i", (underlay, encrypted, expected) => {
    expect(overlayMtu(underlay, encrypted)).toBe(expected);
  });

  test("is told to Docker by the MTU below it, where that is not Docker's own assumption", () => {
    expect(overlayMtuOption(1500)).toEqual({});
    expect(overlayMtuOption(9000)).toEqual({ "com.docker.network.driver.mtu": "9000" });
  });
});

describe("the network below the overlay", () => {
  const mtu = (change: (raw: RawConfig, coreos1: Record<string, unknown>) => void): number => {
    const raw = structuredClone(rawStack("metal"));
    change(raw, raw.nodes?.coreos1 as Record<string, unknown>);
    const config = parseStackConfig(raw);
    return underlayMtu(config.network, Object.values(config.nodes));
  };
  const set = (raw: RawConfig, value: number) => void Object.assign(raw.network ?? {}, { mtu: value });

  test("has Ethernet's MTU, or that of the nodes' interface", () => {
    expect(mtu(() => undefined)).toBe(1500);
    expect(mtu((raw) => set(raw, 9000))).toBe(9000);
  });

  test("is a VLAN where its traffic goes by one, whose tag takes nothing away", () => {
    const byVlan =
      (own: object) =>
      (raw: RawConfig, coreos1: Record<string, unknown>): void => {
        Object.assign(raw.network ?? {}, { mtu: 9000, overlay: { encrypted: false } });
        coreos1.vlans = { v30: { id: 30, address: "10.30.0.11/24", ...own } };
        coreos1.dataPathAddr = "10.30.0.11";
      };
    expect(mtu(byVlan({}))).toBe(9000);
    expect(mtu(byVlan({ mtu: 4000 }))).toBe(4000);
  });

  test("is a further card where its traffic goes by that, and as narrow as its narrowest", () => {
    const byNic =
      (own: object) =>
      (raw: RawConfig, coreos1: Record<string, unknown>): void => {
        set(raw, 9000);
        coreos1.nics = { eno2: { address: "10.40.0.11/24", ...own } };
        coreos1.advertiseAddr = "10.40.0.11";
      };
    expect(mtu(byNic({}))).toBe(1500);
    expect(mtu(byNic({ mtu: 9000 }))).toBe(9000);
  });
});
