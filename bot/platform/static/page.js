// The test platform's page: who I am, which chat, what is in it. Everything comes with one answer of /page/news.
const $ = (id) => document.getElementById(id);
const NAMES = {
  wecom_bot: '智能机器人', wechat_mp: '公众号', wecom_app: '自建应用', wecom_kf: '微信客服', group_robot: '值班群机器人', resident_report: '居民上报', archive: '客户群', onebot: 'QQ',
};
const REPORTS = 'resident_report';
const DIRECT = ['wechat_mp', 'wecom_kf', 'wecom_bot', 'wecom_app', 'onebot', 'archive', REPORTS];
const ALONE = { archive: '群发任务', [REPORTS]: '居民上报' }; // what is no chat with an account
const QUOTING = ['wecom_bot', 'onebot']; // where a bot hears what was quoted
const PINS = ['wechat_mp', 'wecom_kf', 'wecom_app'];
const ENTERED = ['wechat_mp', 'wecom_kf', 'wecom_app', 'wecom_bot']; // of these an account hears that its chat was opened
const SCENES = ['wechat_mp', 'wecom_kf'];
let state = { version: '', groups: [], bubbles: [], orders: [], callbacks: {}, accounts: {}, pushes: [], frames: [], calls: [], complaints: [] };
let here = { channel: 'wechat_mp', chat: '' };
let quoted = null;

const make = (tag, text = '', props = {}) => Object.assign(document.createElement(tag), { textContent: text }, props);
const me = () => $('me').value.trim();
const label = (channel) => NAMES[channel] || channel;

async function act(body) {
  const answer = await fetch('/page/act', {
    method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Platform': '1' }, body: JSON.stringify(body),
  });
  const wrong = answer.ok ? '' : (await answer.json().catch(() => ({}))).error || '没有成功';
  $('wrong').textContent = wrong;
  $('wrong').hidden = !wrong;
  return answer.ok;
}

const base64 = (file) => new Promise((done, fail) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(',')[1]);
  reader.onerror = () => fail(reader.error);
  reader.readAsDataURL(file);
});

const mine = (bubble) => bubble.channel === here.channel && bubble.chat === (here.chat || me()) && !bubble.missed.includes(me());
const inChat = (body) => act({ user: me(), channel: here.channel, chat: here.chat, ...body });

// What has not changed keeps its element, and with it the focus, and a choice or words that are half made.
function fill(list, rows, key, drawn) {
  const kept = new Map([...list.children].map((item) => [item.key, item]));
  const items = rows.map((row) => kept.get(key(row)) || Object.assign(drawn(row), { key: key(row) }));
  for (const item of [...list.children]) if (!items.includes(item)) item.remove();
  items.forEach((item, place) => { if (list.children[place] !== item) list.insertBefore(item, list.children[place] || null); });
}

function enter(channel, chat) {
  here = { channel, chat };
  quote(null);
  draw();
}

function quote(bubble) {
  quoted = bubble;
  $('quoting').hidden = !bubble;
  $('quoting').firstElementChild.textContent = bubble ? bubble.text : '';
  if (bubble) $('words').focus();
}

function drawChats() {
  const chats = [
    ...DIRECT.map((channel) => ({ channel, chat: '', name: ALONE[channel] || `${label(channel)}（单聊）` })),
    ...state.groups.filter((group) => !group.members.length || group.members.includes(me()))
      .map((group) => ({ channel: group.channel, chat: group.id, name: `${group.name} · ${label(group.channel)}` })),
  ];
  fill($('chats'), chats, (chat) => JSON.stringify(chat), (chat) => {
    const item = make('li');
    item.append(make('button', chat.name, { onclick: () => enter(chat.channel, chat.chat) }));
    return item;
  });
  chats.forEach((chat, place) => {
    const current = chat.channel === here.channel && chat.chat === here.chat;
    $('chats').children[place].firstChild.setAttribute('aria-current', current);
  });
}

function drawMenu(menu) {
  const choice = make('select', '', { name: menu.key, multiple: menu.many });
  if (!menu.many) choice.append(make('option', '选择…', { value: '' }));
  choice.append(...menu.options.map(([id, words]) => make('option', words, { value: id, selected: menu.chosen.includes(id) })));
  const box = make('label', `${menu.title || '选择'} `);
  box.append(choice);
  return box;
}

const chosen = (box) => Object.fromEntries(
  [...box.querySelectorAll('select')]
    .map((choice) => [choice.name, [...choice.selectedOptions].map((option) => option.value).filter(Boolean)])
    .filter(([, ids]) => ids.length),
);

function drawCard(bubble) {
  const face = bubble.faces[me()] || bubble.faces[''] || bubble.card;
  const box = make('div', '', { className: 'bubble card' });
  box.append(make('b', face.title), make('div', face.desc, { className: 'dim' }));
  if (face.quote) box.append(make('div', face.quote, { className: 'quote' }));
  const rows = make('dl');
  for (const [name, value] of face.rows) rows.append(make('dt', name), make('dd', value));
  box.append(rows, make('div', face.sub));
  box.append(...face.menus.map(drawMenu));
  const row = make('div', '', { className: 'row' });
  for (const [key, words] of face.buttons) {
    row.append(make('button', words, { onclick: () => inChat({ do: 'click', number: bubble.number, key, chosen: chosen(box) }) }));
  }
  if (/^https?:\/\//.test(face.url)) row.append(make('a', '打开', { className: 'button', href: face.url, target: '_blank', rel: 'noopener noreferrer' }));
  for (const words of face.faded) row.append(make('span', words, { className: 'button faded' }));
  box.append(row);
  return box;
}

function drawBubble(bubble) {
  const item = make('li', '', { className: bubble.by && bubble.by === me() ? 'own' : '' });
  const at = new Date(bubble.at).toLocaleTimeString('zh-CN', { hour12: false });
  const who = make('div', `${bubble.by || label(bubble.channel)} · ${at}${bubble.finished ? '' : ' · 正在输入…'}`, { className: 'who' });
  if (QUOTING.includes(bubble.channel) && bubble.finished && !bubble.recalled) who.append(make('button', '引用', { onclick: () => quote(bubble) }));
  item.append(who);
  const box = bubble.card ? drawCard(bubble) : make('div', bubble.text, { className: 'bubble' });
  if (bubble.quote) box.prepend(make('div', bubble.quote, { className: 'quote' }));
  if (bubble.recalled) box.classList.add('gone');
  for (const [key, words] of bubble.menu) box.append(make('button', words, { onclick: () => inChat({ do: 'choose', number: bubble.number, key }) }));
  item.append(box);
  return item;
}

function drawOrder(order) {
  const item = make('li', '', { className: order.by === me() ? 'own' : '' });
  const box = make('div', order.text, { className: 'bubble card' });
  const rows = make('dl');
  for (const [what, value] of [['地点', order.where], ['网格', order.grid], ['图片', order.pictures || '']]) {
    if (value) rows.append(make('dt', what), make('dd', value));
  }
  for (const [step, by, words] of order.steps) rows.append(make('dt', step), make('dd', [by, words].filter(Boolean).join('：')));
  box.append(rows);
  if (order.next.length) {
    const form = make('form', '', {
      className: 'row',
      onsubmit: (event) => { event.preventDefault(); act({ do: 'step', user: me(), order: order.id, kind: form.kind.value, text: form.text.value }); },
    });
    const step = make('select', '', { name: 'kind' });
    step.append(...order.next.map(([kind, words]) => make('option', words, { value: kind })));
    step.setAttribute('aria-label', '下一步');
    form.append(step, make('input', '', { name: 'text', placeholder: '处理说明（可不填）' }), make('button', '办理'));
    form.text.setAttribute('aria-label', '处理说明');
    box.append(form);
  }
  item.append(make('div', `${order.by} · ${order.id}`, { className: 'who' }), box);
  return item;
}

function drawTalk() {
  const orders = here.channel === REPORTS;
  const talk = $('talk');
  const low = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
  fill(talk, orders ? state.orders : state.bubbles.filter(mine), (row) => JSON.stringify([me(), row]), orders ? drawOrder : drawBubble);
  if (low) talk.scrollTop = talk.scrollHeight;
  $('compose').hidden = orders;
  $('order').hidden = !orders;
  $('arrive').hidden = Boolean(here.chat) || !ENTERED.includes(here.channel);
  $('scene').hidden = !SCENES.includes(here.channel);
  $('place').hidden = !PINS.includes(here.channel);
  if ($('place').hidden) $('pin').hidden = true;
}

function drawAccounts() {
  const open = new Set([...document.querySelectorAll('#accounts details[open]')].map((found) => found.dataset.name));
  $('accounts').replaceChildren(...Object.entries(state.accounts).map(([name, facts]) => {
    const box = make('details');
    box.dataset.name = name;
    box.open = open.has(name);
    const list = make('dl');
    for (const [what, value] of Object.entries(facts)) list.append(make('dt', what), make('dd', value));
    box.append(make('summary', `${label(name)}${name === 'wecom_bot' && state.connected ? ' · 长连接已订阅' : ''}`), list);
    if (name in state.callbacks) {
      const form = make('form', '', { onsubmit: (event) => { event.preventDefault(); act({ do: 'callback', channel: name, url: form.url.value }); } });
      form.append(make('input', '', { name: 'url', value: state.callbacks[name], placeholder: '回调地址' }), make('button', '保存'));
      form.url.setAttribute('aria-label', `${label(name)}的回调地址`);
      box.append(form);
    }
    return box;
  }));
}

const log = (id, rows) => $(id).replaceChildren(...rows.map(([text, bad]) => make('li', text, { className: bad ? 'bad' : '' })));

function draw() {
  drawChats();
  const people = new Set(state.groups.flatMap((group) => group.members).concat(state.bubbles.map((bubble) => bubble.by)).filter(Boolean));
  $('people').replaceChildren(...[...people].map((name) => make('option', '', { value: name })));
  drawTalk();
  if (!$('accounts').contains(document.activeElement)) drawAccounts();
  log('pushes', state.pushes.map((push) => [`${push.statuses.join(' ')}${push.done ? '' : ' …'} ${push.url}`, push.done && push.statuses.at(-1) !== 200]));
  for (const id of ['frames', 'calls']) {
    log(id, state[id].map((call) => [`${call.code ?? '…'} ${call.name}${call.times > 1 ? ` ×${call.times}` : ''}`, call.code]));
  }
  log('complaints', state.complaints.map((words) => [words, true]));
  $('state').textContent = [state.down ? '平台中断' : '', state.untrusted ? 'IP 不可信' : ''].filter(Boolean).join(' · ');
}

async function listen() {
  for (;;) {
    try {
      const answer = await fetch(`/page/news?after=${state.version}`, { headers: { 'X-Platform': '1' } });
      if (answer.status === 200) { state = await answer.json(); draw(); }
      if (answer.status === 403) $('state').textContent = '这个网址不行，请用 linsheng platform 启动时给出的那个';
      if (answer.status >= 400) await new Promise((done) => { setTimeout(done, 2000); });
    } catch {
      $('state').textContent = '与测试平台的连接断了';
      await new Promise((done) => { setTimeout(done, 2000); });
    }
  }
}

$('me').addEventListener('input', draw);
$('compose').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('words').value.trim();
  if (text && await inChat({ do: 'say', text, quote: quoted ? quoted.number : null })) {
    $('words').value = '';
    quote(null);
  }
});
$('quoting').lastElementChild.addEventListener('click', () => quote(null));
$('place').addEventListener('click', () => { $('pin').hidden = !$('pin').hidden; });
$('pin').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  if (await inChat({ do: 'pin', lat: form.lat.value, lon: form.lon.value, name: form.name.value })) form.hidden = true;
});
$('order').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  const data = form.photo.files[0] ? await base64(form.photo.files[0]) : '';
  if (await act({ do: 'order', user: me(), text: form.text.value, where: form.where.value, grid: form.grid.value, data })) form.reset();
});
$('words').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); $('compose').requestSubmit(); }
});
$('arrive').addEventListener('click', () => inChat({ do: 'arrive', scene: $('scene').value.trim() }));
$('photo').addEventListener('change', async () => {
  const [file] = $('photo').files;
  if (file && await inChat({ do: 'photo', data: await base64(file), text: $('words').value.trim() })) $('words').value = '';
  $('photo').value = '';
});
$('new-group').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  if (await act({ do: 'group', name: form.name.value, members: form.members.value.split(/[,，、]/) })) form.reset();
});
$('faults').addEventListener('click', (event) => { if (event.target.dataset.kind) act({ do: 'fault', kind: event.target.dataset.kind }); });
listen();
