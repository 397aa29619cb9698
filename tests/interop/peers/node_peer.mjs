// A peer in Node: `node node_peer.mjs roamhq|werift|datachannel`.
import { createInterface } from "node:readline";
import "./peer.js";

const [name] = process.argv.slice(2);
const { platform } = await import(`./${name}.mjs`);
const tell = (values) => process.stdout.write(JSON.stringify(values) + "\n");
const handle = createPeer(platform, tell);

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { number, ...order } = JSON.parse(line);
    try {
      tell({ answer: number, result: await handle(order) });
    } catch (error) {
      tell({ answer: number, error: { name: error?.name ?? "Error", message: String(error) } });
    }
  })
  .on("close", () => process.exit(0));

tell({ event: "ready", pc: 0 });
