import { area, type Shape } from "./shapes";
import words from "./words.json";

const shapes: Shape[] = [{ kind: "circle", radius: 1 }, { kind: "square", side: 3 }];
for (const shape of shapes) console.log(shape.kind, area(shape).toFixed(3));
console.log(words.hello ?? "nobody", [3, 1, 2].toSorted?.() ?? "");
enum Colour { Red = 1, Green }
console.log(Colour[Colour.Green]);
