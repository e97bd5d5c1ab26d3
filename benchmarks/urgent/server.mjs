// Socket.IO's side of the comparison: node server.mjs PORT SUPPLIERS GUESTS
// Prints "ready", then for each line of standard input when the last of the suppliers' acknowledgements came (0: not all).
import { createInterface } from "node:readline";
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, suppliers, guests] = process.argv.slice(2).map(Number);
const http = createServer().listen(port, "127.0.0.1");
const io = new Server(http, { transports: ["websocket"] });
let here = 0;
io.on("connection", (socket) => {
  socket.join(socket.handshake.query.what);
  here += 1;
  if (here === suppliers + guests) {
    console.log("ready");
    setInterval(() => io.emit("bulk", "x".repeat(1000)), 200);
  }
});
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await io.timeout(5000).to("suppliers").emitWithAck("urgent", { number: Number(line) });
    console.log((performance.timeOrigin + performance.now()) / 1000);
  } catch {
    console.log(0);
  }
}
