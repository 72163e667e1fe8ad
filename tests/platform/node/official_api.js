// The third-party client co-wechat-api, unchanged but for the host it calls.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const { foreign, serve } = require('./lines.js');
const API = foreign('co-wechat-api');

const api = new API(process.env.APP_ID, process.env.APP_SECRET);
api.prefix = `${process.env.BASE}/cgi-bin/`;

serve({
  text: (a) => api.sendText(a.user, a.text),
  template: (a) => api.sendTemplate(a.user, a.template, a.url || '', '', a.data),
  qrcode: (a) => api.createTmpQRCode(a.scene, a.seconds),
  menu: (a) => api.createMenu(a.menu),
  getMenu: () => api.getMenu(),
  upload: (a) => {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'linsheng-')), a.name);
    fs.writeFileSync(file, Buffer.from(a.data, 'base64'));
    return api.uploadMedia(file, a.type).finally(() => fs.rmSync(path.dirname(file), { recursive: true }));
  },
  media: async (a) => (await api.getMedia(a.media)).toString('base64'),
});
