// People by Socket.IO: node clients.mjs PORT suppliers|guests COUNT
import { io } from "socket.io-client";

const [port, what, count] = process.argv.slice(2);
for (let number = 0; number < Number(count); number += 1) {
  const socket = io(`http://127.0.0.1:${port}`, { transports: ["websocket"], query: { what }, forceNew: true });
  socket.on("urgent", (_message, acknowledge) => acknowledge());
  await new Promise((resolve) => socket.on("connect", resolve));
}
