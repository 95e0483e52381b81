import { expect, test } from "vitest";
import { untilIn, wrongAnswers } from "../../chaos/identity";

const probe = (status: number) => ({ path: "/v2/", at: 1, status, firstByteMs: 1 });
const many = Array.from({ length: 60 }, () => probe(200));

test("a password that is right all the while is answered with 200, or cut off", () => {
  expect(wrongAnswers([...many, probe(0)])).toEqual([]);
});

test("any other answer is said, and that nearly nobody asked", () => {
  expect(wrongAnswers([...many, probe(401), probe(503), probe(401)])).toEqual([
    "the former password was answered with 401 2 times of 63",
    "the former password was answered with 503 1 times of 63",
  ]);
  expect(wrongAnswers(many.slice(0, 49))).toEqual(["the former password was asked with 49 times only"]);
});

test("until when a former password is right is in the state", () => {
  const resources = [
    { urn: "urn:pulumi:dev::moorage::a:A::registry" },
    {
      urn: "urn:pulumi:dev::moorage::a:A::registry-previous-passwords",
      outputs: { until: { reader: 17, admin: 18 } },
    },
  ];
  expect(untilIn(JSON.stringify({ deployment: { resources } }))).toBe(17);
  expect(untilIn(JSON.stringify({ deployment: { resources: resources.slice(0, 1) } }))).toBe(0);
});
