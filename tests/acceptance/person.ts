// A person with the official Supabase client for JavaScript: node person.ts URL PERMIT REGION TOPIC [SAY]
// Prints "joined" and what it hears, or "refused STATUS REASON" when the handshake was.
import { RealtimeClient } from "@supabase/realtime-js";
import WebSocket from "ws";

const [url, permit, region, topic, say] = process.argv.slice(2);

class Told extends WebSocket {
  constructor(address: string, protocols?: string | string[]) {
    super(address, protocols);
    this.on("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk));
      response.on("end", () => {
        console.log(`refused ${response.statusCode} ${body.startsWith("{") ? JSON.parse(body).reason : body.trim()}`);
        process.exit(0);
      });
    });
  }
}

const client = new RealtimeClient(url, { params: { apikey: permit, region }, transport: Told as never });
client.connect();
const channel = client.channel(topic, { config: { broadcast: { ack: true } } });
channel.on("broadcast", { event: "cake" }, ({ payload }) => console.log(`heard ${JSON.stringify(payload)}`));
channel.subscribe(async (status) => {
  console.log(status === "SUBSCRIBED" ? "joined" : status);
  // "say" broadcasts once, by the client's default vsn (2.0.0: binary frames), and waits for the gateway's word.
  if (status === "SUBSCRIBED" && say) {
    console.log(await channel.send({ type: "broadcast", event: "cake", payload: { at: say } }));
  }
});
