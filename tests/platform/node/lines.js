// A line of JSON in, a line of JSON out: see ../peers.py.
'use strict';
const { createRequire } = require('module');
const readline = require('readline');

exports.foreign = createRequire(`${process.env.PEERS}/peers.js`);
exports.say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
exports.tell = (event, more) => exports.say({ event, ...more });

exports.serve = (deeds) => {
  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const asked = JSON.parse(line);
    try {
      exports.say({ id: asked.id, result: (await deeds[asked.do](asked)) ?? null });
    } catch (error) {
      exports.say({ id: asked.id, error: `${error.name || 'Error'}: ${error.message || JSON.stringify(error)}` });
    }
  });
};
