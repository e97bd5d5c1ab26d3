// The calls that a gateway makes, from Node 20.15 or newer with ioredis.
//
//     npm install && WEDOPS_BROKER_URL=redis://… npm start
//
// It opens a connection, shows that it lives, subscribes, reports its node, asks where a person should go, closes, and leaves.
import { crc32 } from "node:zlib";
import { Redis } from "ioredis";

const SHARDS = Number(process.env.CONNECTIONS_SHARDS ?? 64);
const redis = new Redis(process.env.WEDOPS_CONNECTIONS_URL ?? process.env.WEDOPS_BROKER_URL ?? "redis://127.0.0.1:6379");

type Request = {
  id: string;
  user_id: string;
  user_type: "couple" | "planner" | "vendor" | "guest";
  node: string;
  region: string;
  wedding_id?: string;
  supplier_id?: string;
  channels?: string[];
  held?: number;
  capacity?: number;
};
type Answer =
  | { ok: true; ref: string; node: string; reused: boolean }
  | { ok: false; reason: string; retry_after_ms: number };

/** All of a tenant's records live in one shard: the supplier's, else the wedding's, else the user's. */
const shardOf = (tenant: string) => `wedops:{${crc32(tenant) % SHARDS}}`;
const tenantOf = (ref: string) => ref.split("/")[0];

async function open(request: Request): Promise<Answer> {
  const tenant = request.supplier_id ?? request.wedding_id ?? request.user_id;
  return JSON.parse((await redis.call("FCALL", "wedops_open", "1", shardOf(tenant), JSON.stringify(request))) as string);
}

/** Returns the refs that the registry does not know any more; all refs of one call are of one shard. */
async function measure(ref: string, rttMs: number, messages: number, errors: number, bytes: number): Promise<string[]> {
  const words = [ref, rttMs, messages, errors, bytes].map(String);
  return (await redis.call("FCALL", "wedops_measure", "1", shardOf(tenantOf(ref)), ...words)) as string[];
}

async function subscribe(ref: string, channels: string[]): Promise<unknown> {
  const words = [ref, "", ...channels];
  return JSON.parse((await redis.call("FCALL", "wedops_subscribe", "1", shardOf(tenantOf(ref)), ...words)) as string);
}

const report = (facts: object) => redis.call("FCALL", "wedops_report", "1", "wedops:{nodes}", JSON.stringify(facts));
const route = async (wedding: string, userType: string, region: string) =>
  JSON.parse((await redis.call("FCALL", "wedops_route", "1", "wedops:{nodes}", wedding, userType, region, "", "200")) as string);
const close = (ref: string) => redis.call("FCALL", "wedops_close", "1", shardOf(tenantOf(ref)), ref);

const node = `node-${process.pid}`;
/** A node that goes on purpose alarms nobody. */
async function leave(): Promise<void> {
  await redis.call("FCALL", "wedops_leave", "1", "wedops:{nodes}", node);
  await redis.quit();
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void leave());

try {
  await report({ node, region: "us-west", url: "ws://127.0.0.1:4001/socket", capacity: 1000, connections: 0, cpu: 0.1 });

  const person: Request = { id: "ts-1", user_id: "u-ts", user_type: "couple", node, region: "us-west", wedding_id: "w-17" };
  const answer = await open(person);
  if (!answer.ok) throw new Error(`${answer.reason}: try again in ${answer.retry_after_ms} ms`);

  const result = {
    ref: answer.ref,
    unknown: await measure(answer.ref, 42, 3, 0, 1200),
    subscribed: await subscribe(answer.ref, ["timeline:w-17", "not a channel"]),
    route: await route("w-17", "couple", "us-west"),
    refused: await open({ ...person, id: "a{b}" }).catch((error: Error) => error.message),
    closed: await close(answer.ref),
  };
  console.log(JSON.stringify(result));
} finally {
  if (redis.status === "ready") await leave();
}
