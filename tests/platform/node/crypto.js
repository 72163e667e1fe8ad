// Three foreign libraries seal and open letters: @wecom/crypto, wechat-crypto, and co-wechat's answers through koa.
'use strict';
const { foreign, serve } = require('./lines.js');
const wecom = foreign('@wecom/crypto');
const WXBizMsgCrypt = foreign('wechat-crypto');

const libraries = {
  wecom: (a) => ({
    seal: (letter) => wecom.encrypt(a.key, letter, a.receiver),
    open: (sealed) => wecom.decrypt(a.key, sealed),
    sign: (stamp, nonce, sealed) => wecom.getSignature(a.token, stamp, nonce, sealed),
  }),
  wechat: (a) => {
    const crypt = new WXBizMsgCrypt(a.token, a.key, a.receiver);
    return {
      seal: (letter) => crypt.encrypt(letter),
      open: (sealed) => crypt.decrypt(sealed),
      sign: (stamp, nonce, sealed) => crypt.getSignature(stamp, nonce, sealed),
    };
  },
};

serve({
  seal: (a) => a.letters.map((letter) => {
    const library = libraries[a.library](a);
    const sealed = library.seal(letter);
    return { sealed, signature: library.sign(a.timestamp, a.nonce, sealed) };
  }),
  open: (a) => a.sealed.map((sealed) => {
    const library = libraries[a.library](a);
    return { ...library.open(sealed), signature: library.sign(a.timestamp, a.nonce, sealed) };
  }),
});
