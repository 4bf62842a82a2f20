// Uses a devnet as any polkadot.js program would, and prints what it saw as one JSON object.
// Arguments: URL of the parachain, URL of the relay chain.

import { createRequire } from 'node:module';

// The packages lie where the test installed them, not beside this file.
const require = createRequire(`${process.env.PRBKIT_NPM}/package.json`);
const { ApiPromise, WsProvider, Keyring } = require('@polkadot/api');

const [paraUrl, relayUrl] = process.argv.slice(2);
const seen = {};

async function connect(url) {
  const provider = new WsProvider(url, 1000);
  return ApiPromise.create({ provider, noInitWarn: true, throwOnConnect: true });
}

function transfer(api, from, to) {
  return new Promise((resolve, reject) => {
    const statuses = [];
    api.tx.balances
      .transferKeepAlive(to.address, 12345678901n)
      .signAndSend(from, (result) => {
        statuses.push(result.status.type);
        if (result.isError) {
          reject(new Error(`ended as ${result.status.type}`));
        } else if (result.isFinalized) {
          resolve({
            statuses,
            block: result.status.asFinalized.toHex(),
            hash: result.txHash.toHex(),
            events: result.events.map(({ event }) => `${event.section}.${event.method}`),
            error: result.dispatchError ? result.dispatchError.toString() : null,
          });
        }
      })
      .catch(reject);
  });
}

const para = await connect(paraUrl);
const relay = await connect(relayUrl);
const keyring = new Keyring({ type: 'sr25519' });
const alice = keyring.addFromUri('//Alice');
const fresh = keyring.addFromUri('//Nobody//Before');

seen.chains = [para.runtimeChain.toString(), relay.runtimeChain.toString()];
seen.genesis = [para.genesisHash.toHex(), relay.genesisHash.toHex()];
seen.pallets = para.runtimeMetadata.asLatest.pallets.map(({ name }) => name.toString());
seen.paraId = (await para.query.parachainInfo.parachainId()).toNumber();

// Blocks and events of both chains, whole.
seen.blocks = [];
for (const api of [para, relay]) {
  const head = (await api.rpc.chain.getHeader()).number.toNumber();
  for (let number = 1; number <= Math.min(head, 20); number += 1) {
    const hash = await api.rpc.chain.getBlockHash(number);
    const at = await api.at(hash);
    const [signed, events] = await Promise.all([
      api.rpc.chain.getBlock(hash),
      at.query.system.events(),
    ]);
    if (signed.block.header.hash.toHex() !== hash.toHex()) {
      throw new Error(`header ${number} does not hash to its hash`);
    }
    seen.blocks.push([
      signed.block.extrinsics.length,
      events.map(({ event }) => `${event.section}.${event.method}`),
    ]);
  }
}

// A watched transfer.
const before = (await para.query.system.account(fresh.address)).data.free.toBigInt();
seen.transfer = await transfer(para, alice, fresh);
const after = (await para.query.system.account(fresh.address)).data.free.toBigInt();
seen.received = (after - before).toString();
seen.nonce = (await para.query.system.account(alice.address)).nonce.toNumber();
seen.nextIndex = (await para.rpc.system.accountNextIndex(alice.address)).toNumber();
const info = await para.tx.balances
  .transferKeepAlive(fresh.address, 1n)
  .paymentInfo(alice.address);
seen.fee = info.partialFee.toString();

// A value with its proof.
const at = await relay.rpc.chain.getFinalizedHead();
const key = relay.query.grandpa.currentSetId.key();
const header = await relay.rpc.chain.getHeader(at);
const { proof } = await relay.rpc.state.getReadProof([key], at);
seen.proof = {
  key,
  root: header.stateRoot.toHex(),
  nodes: proof.map((node) => node.toHex()),
  value: (await (await relay.at(at)).query.grandpa.currentSetId()).toHex(true),
};

// Subscriptions.
seen.heads = await new Promise((resolve, reject) => {
  const numbers = [];
  para.rpc.chain
    .subscribeNewHeads((head) => {
      numbers.push(head.number.toNumber());
      if (numbers.length === 3) resolve(numbers);
    })
    .catch(reject);
});

console.log(JSON.stringify(seen));
await para.disconnect();
await relay.disconnect();
process.exit(0);
