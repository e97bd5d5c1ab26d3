// A person with the official Supabase client for JavaScript: node person.ts URL PERMIT REGION TOPIC
// Prints "joined", or "refused STATUS REASON" when the handshake was.
import { RealtimeClient } from "@supabase/realtime-js";
import WebSocket from "ws";

const [url, permit, region, topic] = process.argv.slice(2);

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
client.channel(topic).subscribe((status) => {
  console.log(status === "SUBSCRIBED" ? "joined" : status);
});
