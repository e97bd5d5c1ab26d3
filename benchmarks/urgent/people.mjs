// People of a wedding on our gateways, by Supabase's protocol: node people.mjs PORTS WEDDING PERMITS [FILE]
// Prints "ready" once all have joined. Heeds lines of standard input: "cut N" breaks N sockets, "end" writes to FILE what came
// to whom, and who joined when.
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import WebSocket from "ws";

const [ports, wedding, permits, file] = process.argv.slice(2);
const doors = ports.split(",");
const tokens = JSON.parse(readFileSync(permits, "utf8"));
const topic = `realtime:wedding:${wedding}`;
const join = JSON.stringify({ topic, event: "phx_join", payload: {}, ref: "1", join_ref: "1" });
const now = () => (performance.timeOrigin + performance.now()) / 1000;
const sockets = new Map();
const came = [];
const joined = [];

function heard(number, text) {
  const { event, payload } = JSON.parse(text);
  if (event === "phx_reply") joined.push([number, now()]);
  if (event !== "broadcast") return;
  const message = payload.payload;
  if (payload.event === "urgent") came.push([message.identifier, number, message.revision, message.thread, now()]);
  if (payload.event === "plain") came.push([message.identifier, number, 0, "", now()]);
}

function stay(number) {
  return new Promise((first) => {
    const asked = new URLSearchParams({ apikey: tokens[number], region: "us-northeast", vsn: "1.0.0" });
    const door = doors[number % doors.length];
    const address = `ws://127.0.0.1:${door}/socket/websocket?${asked}`;
    const socket = new WebSocket(address, { perMessageDeflate: false });
    sockets.set(number, socket);
    socket.on("open", () => socket.send(join));
    socket.once("message", first);
    // Who only listens reads nothing: there may be a thousand of them.
    if (file) socket.on("message", (text) => heard(number, text));
    socket.on("error", () => {});
    socket.on("close", () => setTimeout(() => stay(number).then(first), 50));
  });
}

for (let number = 0; number < tokens.length; number += 1) await stay(number);
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "end") break;
  const all = [...sockets.values()].sort(() => Math.random() - 0.5);
  for (const socket of all.slice(0, Number(line.split(" ")[1]))) socket.terminate();
}
if (file) writeFileSync(file, JSON.stringify({ came, joined }));
process.exit(0);
