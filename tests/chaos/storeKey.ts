/** Whether the registries' key for the store is replaced without the store refusing one of them. */
import { shellIn } from "../../lab/faults/place";
import { inStore, registryUser } from "../support/store";
import type { Watch } from "./changes";

/** What a node says once the update is over. */
export interface KeyAnswers {
  readonly node: string;
  /** How many requests of its registry the store refused, in digits; nothing where that cannot be told. */
  readonly refused: string;
  /** What its member of MinIO says to the former user, and to the one of now. */
  readonly former: string;
  readonly now: string;
}

/** What is wrong with them. */
export function keyProblems(answers: readonly KeyAnswers[]): string[] {
  return answers.flatMap(({ node, refused, former, now }) => [
    ...(refused === "0"
      ? []
      : [`the store refused ${refused || "nobody knows how many"} requests of ${node}'s registry`]),
    ...(/Access Key Id you provided does not exist/.test(former)
      ? []
      : [`MinIO on ${node} says to the former user: ${former}`]),
    ...(/^\S.* docker\/$/m.test(now) ? [] : [`MinIO on ${node} says to the new user: ${now}`]),
  ]);
}

/** A shell line that counts what a registry has written of refusals, once its former task's container is there, too. */
export const refusalsOf = (registry: string, since: number): string =>
  `set -- $(docker ps --all --quiet --filter label=com.docker.swarm.service.name=${registry}); test $# -gt 1 &&` +
  ` for id; do docker logs --since ${since} $id 2>&1; done | grep -c 'status code: 403'`;

/** The former user is refused by every member of MinIO afterwards, and no registry was meanwhile. */
export const watchStoreKey: Watch = async (stage, lab) => {
  const since = Math.floor(Date.now() / 1000);
  const former = await registryUser(lab);
  return async () => {
    const now = await registryUser(lab);
    const answers = stage.members.nodes.map(async (place): Promise<KeyAnswers> => {
      const node = place.host.name;
      const said = (user: typeof now): Promise<string> => inStore(lab, user, "mc ls store/registry", node);
      return {
        node,
        refused: (await shellIn(place, refusalsOf(`registry-${node}`, since))).stdout.trim(),
        former: (await said(former)).trim(),
        now: await said(now),
      };
    });
    return [
      ...(now.name === former.name ? [`registries still are ${now.name} to the store`] : []),
      ...keyProblems(await Promise.all(answers)),
    ];
  };
};
