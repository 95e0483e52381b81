import type { TestLab } from "./testLab";

/** Id and start of every running container, by node and service or name. */
export async function containers(lab: TestLab): Promise<Record<string, string>> {
  const format = `{{with index .Config.Labels "com.docker.swarm.service.name"}}{{.}}{{else}}{{.Name}}{{end}} {{.Id}} {{.State.StartedAt}}`;
  const entries = await Promise.all(
    lab.nodes.map(async ({ name }) => {
      const said = await lab.mustRoot(name, `docker inspect --format '${format}' $(docker ps --quiet)`);
      return said
        .trim()
        .split("\n")
        .map((line) => [`${name}: ${line.split(" ")[0]?.replace(/^\//, "")}`, line] as const);
    }),
  );
  return Object.fromEntries(entries.flat());
}
