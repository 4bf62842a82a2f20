// polkadot.js over the benchmarks' headers: JSON text to SCALE and hash, as PRB v2 does it.
// Reads {"case", "count"} a line, answers {"seconds" of CPU, "result", "version"}; a count is of
// all headers once.

import { packageInfo, TypeRegistry } from '@polkadot/types'
import fs from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'

const registry = new TypeRegistry()
const texts = JSON.parse(fs.readFileSync(path.join(process.argv[2], 'headers.json'), 'utf8'))

function all () {
  let last
  for (const text of texts) {
    const header = registry.createType('Header', JSON.parse(text))
    last = [header.toU8a(), header.hash.toU8a()]
  }
  return last
}

// CPU seconds of this thread, where the system tells them; else of the whole process.
function seconds () {
  try {
    const stat = fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8')
    return Number(stat.split(' ')[0]) / 1e9
  } catch {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
}

for (let i = 0; i < 50; i++) all() // until V8 has compiled it

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { count } = JSON.parse(line)
  let last
  const start = seconds()
  for (let i = 0; i < count; i++) last = all()
  const took = seconds() - start
  const result = Buffer.from(last[1]).toString('hex')
  console.log(JSON.stringify({ seconds: took, result, version: packageInfo.version }))
}
