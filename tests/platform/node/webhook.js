// An AI bot's webhook of a few lines, whose crypto is Tencent's (@wecom/crypto): it answers with what it was told to.
'use strict';
const http = require('http');
const { foreign, serve, tell } = require('./lines.js');
const { decrypt, encrypt, getSignature } = foreign('@wecom/crypto');

const { AES_KEY: key, TOKEN: token } = process.env;
let answers = []; // of the next callbacks: an object, "" for an empty 200, a number for a status, null for silence

const server = http.createServer(async (request, response) => {
  const query = Object.fromEntries(new URL(request.url, 'http://x').searchParams);
  let raw = '';
  for await (const chunk of request) raw += chunk;
  const sealed = request.method === 'GET' ? query.echostr : JSON.parse(raw).encrypt;
  if (getSignature(token, query.timestamp, query.nonce, sealed) !== query.msg_signature) {
    response.writeHead(400).end();
    return;
  }
  const { message, id } = decrypt(key, sealed);
  if (request.method === 'GET') {
    response.end(message);
    return;
  }
  tell('callback', { body: JSON.parse(message), receiver: id, raw });
  const answer = answers.length ? answers.shift() : '';
  if (answer === null) return;
  if (typeof answer === 'number') {
    response.writeHead(answer).end();
    return;
  }
  if (answer === '') {
    response.end();
    return;
  }
  const timestamp = Number(query.timestamp);
  const closed = encrypt(key, JSON.stringify(answer), '');
  const msgsignature = getSignature(token, `${timestamp}`, query.nonce, closed);
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ encrypt: closed, msgsignature, timestamp, nonce: query.nonce }));
});

serve({
  listen: () => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port))),
  answer: (a) => { answers = a.with; },
});
