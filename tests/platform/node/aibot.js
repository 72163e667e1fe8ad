// Tencent's own client of the AI bot's long connection, unchanged, told what to do line by line.
'use strict';
const { foreign, serve, tell } = require('./lines.js');
const { WSClient } = foreign('@wecom/aibot-node-sdk');

const log = (...words) => process.stderr.write(`${words.join(' ')}\n`);
const client = new WSClient({
  botId: process.env.BOT_ID,
  secret: process.env.BOT_SECRET,
  wsUrl: process.env.WS_URL,
  heartbeatInterval: Number(process.env.HEARTBEAT || 30000),
  reconnectInterval: 50,
  maxReconnectAttempts: Number(process.env.RECONNECTS || 10),
  maxAuthFailureAttempts: 1,
  logger: { debug: log, info: log, warn: log, error: log },
});
const frames = new Map();

for (const name of ['connected', 'authenticated', 'disconnected', 'reconnecting']) {
  client.on(name, (what) => tell(name, { what: what ?? null }));
}
client.on('error', (error) => tell('error', { what: error.message }));
client.on('message', (frame) => {
  frames.set(frame.body.msgid, frame);
  tell('message', { body: frame.body });
});
client.on('event', (frame) => {
  frames.set(frame.body.msgid, frame);
  tell('heard', { body: frame.body });
});

serve({
  connect: () => { client.connect(); },
  stream: (a) => client.replyStream(frames.get(a.to), a.stream, a.content, a.finish),
  reply: (a) => client.reply(frames.get(a.to), a.body),
  welcome: (a) => client.replyWelcome(frames.get(a.to), a.body),
  card: (a) => client.replyTemplateCard(frames.get(a.to), a.card),
  update: (a) => client.updateTemplateCard(frames.get(a.to), a.card),
  send: (a) => client.sendMessage(a.chat, a.body),
  upload: (a) => client.uploadMedia(Buffer.from(a.data, 'base64'), { type: a.type, filename: a.name }),
  media: (a) => client.sendMediaMessage(a.chat, a.type, a.media),
  download: async (a) => {
    const found = await client.downloadFile(a.url, a.key);
    return { data: found.buffer.toString('base64'), name: found.filename ?? null };
  },
  disconnect: () => { client.disconnect(); },
});
