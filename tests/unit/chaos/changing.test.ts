import { parseDocument, type Document } from "yaml";
import { describe, expect, test } from "vitest";
import type { ChangeRow } from "../../chaos/changeRow";
import { besideNext, failAll } from "../../chaos/changing";
import type { Ran, TestLab } from "../../support/testLab";
import { plainChange } from "./rows";

const rowOf = (name: string, problems: readonly string[] = []): ChangeRow => ({
  ...plainChange,
  name,
  problems,
});

describe("what is found out of a change later", () => {
  /** Changes that say when they are done; one has something that is found out when `end` is called. */
  function rounds(last?: () => Promise<never>) {
    const done: string[] = [];
    let end: (found: readonly string[]) => void = () => undefined;
    const found = new Promise<readonly string[]>((resolve) => (end = resolve));
    const change =
      (name: string, later: readonly Promise<readonly string[]>[] = []) =>
      () => {
        done.push(name);
        return Promise.resolve({ row: rowOf(name, [`${name}'s`]), later });
      };
    const changing = [change("one"), change("two", [found]), last ?? change("three")];
    return { done, end, rows: besideNext(changing) };
  }

  const next = async (rows: AsyncGenerator<ChangeRow>): Promise<[string, readonly string[]] | undefined> => {
    const { value, done } = await rows.next();
    return done ? undefined : [value.name, value.problems];
  };

  test("is waited for beside the next one, and is in its own row", async () => {
    const { done, end, rows } = rounds();
    expect(await next(rows)).toEqual(["one", ["one's"]]);
    expect(done).toEqual(["one"]);
    const second = next(rows);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(done).toEqual(["one", "two", "three"]);
    end(["still right"]);
    expect(await second).toEqual(["two", ["two's", "still right"]]);
    expect(await next(rows)).toEqual(["three", ["three's"]]);
    expect(await next(rows)).toBeUndefined();
  });

  test("is in its row also where the next change cannot be done, which is said", async () => {
    const { end, rows } = rounds(() => Promise.reject(new Error("no holder")));
    await next(rows);
    end([]);
    expect(await next(rows)).toEqual(["two", ["two's"]]);
    await expect(next(rows)).rejects.toThrow("no holder");
  });

  test("is waited for where there is no next one", async () => {
    const later = [Promise.resolve(["late"])];
    const rows = besideNext([() => Promise.resolve({ row: rowOf("alone"), later })]);
    expect(await next(rows)).toEqual(["alone", ["late"]]);
  });
});

describe("updates that have to fail", () => {
  const before = "images: {}\n";

  /** A stack whose update fails where an image is broken, unless it `takes` it. */
  function stack(takes = "") {
    let text = before;
    const updated: string[] = [];
    const lab: Pick<TestLab, "stackFile" | "changeConfig" | "up"> = {
      stackFile: () => text,
      changeConfig(change) {
        const document = parseDocument(text);
        if (typeof change === "string") text = change;
        else {
          change(document);
          text = document.toString();
        }
      },
      up() {
        const images = Object.keys((parseDocument(text).toJS() as { images: object }).images).join();
        updated.push(images);
        const ran: Ran =
          images === "" || images === takes
            ? { code: 0, output: "" }
            : { code: 1, output: `error: ${images}: rolled back` };
        return Promise.resolve(ran);
      },
    };
    const failing = ["registry", "nginx"].map((name) => ({
      edit: () => Promise.resolve((config: Document) => config.setIn(["images", name], "x")),
      says: new RegExp(`${name}: rolled back`),
    }));
    return { lab, updated, failing, text: () => text };
  }

  test("are made one by one, each without what the one before wanted, and all is put back", async () => {
    const { lab, updated, failing, text } = stack();
    const looked: string[][] = [];
    const missing = () => {
      looked.push([...updated]);
      return Promise.resolve([]);
    };
    expect((await failAll(lab, failing, missing)).problems).toEqual([]);
    expect(updated).toEqual(["registry", "nginx", ""]);
    // Nobody has put anything back yet when it is looked whether all went back by itself.
    expect(looked).toEqual([["registry"], ["registry", "nginx"]]);
    expect(text()).toBe(before);
  });

  test("are a problem where they succeed, say something else, or leave something behind", async () => {
    const { lab, failing } = stack("nginx");
    const [registry, nginx] = failing;
    if (!registry || !nginx) throw new Error("nothing fails");
    let looks = 0;
    const missing = () => Promise.resolve(looks++ === 0 ? ["registry-n1 0/1"] : []);
    const other = { ...registry, says: /went back/ };
    expect((await failAll(lab, [other, nginx], missing)).problems).toEqual([
      "an update does not say went back: pulumi up ended with 1: error: registry: rolled back",
      "not back by itself after went back: registry-n1 0/1",
      "an update did not fail that has to say nginx: rolled back",
    ]);
  });

  test("are a problem where what there was before is not taken any more", async () => {
    const { lab, failing } = stack();
    const up = () => Promise.resolve({ code: 1, output: "error: registry: rolled back" });
    const { problems } = await failAll({ ...lab, up }, failing.slice(0, 1), () => Promise.resolve([]));
    expect(problems).toEqual([
      "with the configuration put back: pulumi up ended with 1: error: registry: rolled back",
    ]);
  });
});
