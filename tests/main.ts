/** `make test`: the check, the fast tests and the lab story, one after the other. CONTRIBUTING.md says what belongs where. */
import { cleanUp, command, secondsText, tests, type Part } from "./support/parts";
import { noTests, sum, summaryText } from "./support/summary";

const story = (name: string): Promise<Part> => tests(name, "story");

async function main(): Promise<void> {
  const parts: Part[] = [];
  const begin = async (part: Promise<Part>): Promise<boolean> => {
    parts.push(await part);
    return parts.at(-1)?.failures.length === 0;
  };
  let note = "";
  if (
    (await begin(command("check", ["npm", "run", "-s", "check"]))) &&
    (await begin(command("tools and images", ["node_modules/.bin/tsx", "lab/journey/main.ts", "prepare"])))
  ) {
    await begin(tests("fast tests", "fast"));
    if (!(await begin(story("lab story")))) {
      const first = parts.at(-1) as Part;
      console.log(summaryText(first));
      // A busy machine can fail a lab; a defect fails the second one, too. What failed first is shown above.
      if (await begin(story("lab story, second try"))) {
        parts[parts.indexOf(first)] = { ...noTests, name: first.name, seconds: first.seconds };
        note = "lab story: passed on the second try";
      }
    }
  }
  const left = { ...noTests, failures: await cleanUp() };
  const summary = sum([...parts, left]);
  console.log([secondsText(parts), ...(note ? [note] : []), summaryText(summary)].join("\n"));
  if (summary.failures.length > 0) process.exitCode = 1;
}

void main();
