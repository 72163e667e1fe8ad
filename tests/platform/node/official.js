// A 公众号 server of the third-party library co-wechat on koa, unchanged: it echoes, and tells what it heard.
'use strict';
const { foreign, serve, tell } = require('./lines.js');
const Koa = foreign('koa');
const wechat = foreign('co-wechat');

const app = new Koa();
app.silent = true;
app.use(wechat({
  token: process.env.TOKEN, appid: process.env.APP_ID, encodingAESKey: process.env.AES_KEY,
}).middleware(async (message) => {
  tell('letter', { letter: message });
  return message.MsgType === 'text' ? `收到：${message.Content}` : '';
}));

serve({
  listen: () => new Promise((done) => {
    const server = app.listen(0, '127.0.0.1', () => done(server.address().port));
  }),
});
