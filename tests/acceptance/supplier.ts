// A supplier with the official Supabase client for JavaScript: node supplier.ts URL PERMIT TOPIC
// Shows urgent messages, and acknowledges them.
import { RealtimeClient } from "@supabase/realtime-js";
import WebSocket from "ws";

const [url, permit, topic] = process.argv.slice(2);
const params = { apikey: permit, region: "us-northeast" };
const client = new RealtimeClient(url, { params, transport: WebSocket as never });
client.connect();
const channel = client.channel(topic);
channel.on("broadcast", { event: "urgent" }, async ({ payload }) => {
  console.log(`shows ${payload.revision} ${payload.headline}`);
  for (const state of ["displayed", "acknowledged"]) {
    const receipt = { identifier: payload.identifier, state };
    await channel.send({ type: "broadcast", event: "urgent_receipt", payload: receipt });
  }
});
channel.subscribe((status) => console.log(status === "SUBSCRIBED" ? "joined" : status));
