// Appends events to Emmett's PostgreSQL store, one in a stream of its own each,
// by so many callers that each wait for the answer; beside them, if asked to, a
// reader follows as Emmett's own consumers do. Prints what was reached as JSON.
//
//   node emmett.mjs append|follow DATABASE CALLERS WARM_MS MEASURE_MS PAYLOAD
//
// The server is that of PGHOST and PGUSER; a database that is followed is empty.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { dumbo } from '@event-driven-io/dumbo';
import { getPostgreSQLEventStore, readMessagesBatch } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';

const [what, database, callers, warm, measure, payload] = process.argv.slice(2);
const connectionString = `postgresql:///${database}`;
const pool = new pg.Pool({ connectionString, max: Number(callers) });
const store = getPostgreSQLEventStore(connectionString, { connectionOptions: { pool } });
await store.schema.migrate();

const data = JSON.parse(payload);
const begin = performance.now() + Number(warm);
const end = begin + Number(measure);
let written = 0;
let counted = 0;

async function call() {
  while (performance.now() < end) {
    await store.appendToStream(`request-${randomUUID()}`, [{ type: 'request.submitted', data }]);
    written++;
    const now = performance.now();
    if (now > begin && now <= end) counted++;
  }
}

// It stops when all were read, or when nothing came for two seconds after the
// last was written.
async function follow(writing) {
  const reader = dumbo({ connectionString });
  let after = 0n;
  const seen = new Set();
  let read = 0;
  let done = false;
  let last = performance.now();
  writing.then(() => {
    done = true;
    last = performance.now();
  });
  while (!done || (seen.size < written && performance.now() - last < 2000)) {
    const page = await readMessagesBatch(reader.execute, { after, batchSize: 1000 });
    if (page.messages.length === 0) {
      await sleep(1);
      continue;
    }
    after = page.currentGlobalPosition;
    read += page.messages.length;
    for (const m of page.messages) seen.add(m.metadata.messageId);
    last = performance.now();
  }
  await reader.close();
  return { read, distinct: seen.size };
}

const writing = Promise.all(Array.from({ length: Number(callers) }, call));
const followed = what === 'follow' ? await follow(writing) : {};
await writing;
console.log(JSON.stringify({ rate: (counted * 1000) / Number(measure), written, ...followed }));
await store.close();
await pool.end();
