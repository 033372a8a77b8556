// Numbers in words for test_words.py: reads values from stdin, writes what each function says.
import { readFileSync } from "node:fs";

const words = await import(new URL("../../../nlviz/web/live_view/pure/words.js", import.meta.url));
const values = JSON.parse(readFileSync(0, "utf8"));
const names = ["percentText", "changeText", "multipleText", "numberText", "secondsText", "clockText", "powerText"];
process.stdout.write(JSON.stringify(Object.fromEntries(names.map((name) => [name, values.map(words[name])]))));
