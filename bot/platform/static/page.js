// The test platform's page: who I am, which chat, what is in it. Everything comes with one answer of /page/news.
const $ = (id) => document.getElementById(id);
const NAMES = {
  wecom_bot: '智能机器人', wechat_mp: '公众号', wecom_app: '自建应用', wecom_kf: '微信客服', group_robot: '值班群机器人', resident_report: '居民上报', archive: '客户群', onebot: 'QQ',
};
const DIRECT = ['wechat_mp', 'wecom_kf', 'wecom_bot', 'wecom_app', 'onebot', 'archive'];
let state = { version: '', groups: [], bubbles: [], callbacks: {}, accounts: {}, pushes: [], calls: [], complaints: [] };
let here = { channel: 'wechat_mp', chat: '' };

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

const mine = (bubble) => bubble.channel === here.channel && bubble.chat === (here.chat || me()) && !bubble.missed.includes(me());
const inChat = (body) => act({ user: me(), channel: here.channel, chat: here.chat, ...body });

function drawChats() {
  const chats = [
    ...DIRECT.map((channel) => ({ channel, chat: '', name: channel === 'archive' ? '群发任务' : `${label(channel)}（单聊）` })),
    ...state.groups.filter((group) => !group.members.length || group.members.includes(me()))
      .map((group) => ({ channel: group.channel, chat: group.id, name: `${group.name} · ${label(group.channel)}` })),
  ];
  $('chats').replaceChildren(...chats.map((chat) => {
    const current = chat.channel === here.channel && chat.chat === here.chat;
    const button = make('button', chat.name, { onclick: () => { here = { channel: chat.channel, chat: chat.chat }; draw(); } });
    if (current) button.setAttribute('aria-current', 'true');
    const item = make('li');
    item.append(button);
    return item;
  }));
}

function drawCard(bubble) {
  const face = bubble.faces[me()] || bubble.faces[''] || bubble.card;
  const box = make('div', '', { className: 'bubble card' });
  box.append(make('b', face.title), make('div', face.desc, { className: 'dim' }));
  if (face.quote) box.append(make('div', face.quote, { className: 'quote' }));
  const rows = make('dl');
  for (const [name, value] of face.rows) rows.append(make('dt', name), make('dd', value));
  box.append(rows, make('div', face.sub));
  const chosen = {};
  for (const [question, options] of Object.entries(face.menus)) {
    const menu = make('select', '', { onchange: () => { chosen[question] = menu.value ? [menu.value] : []; } });
    menu.append(make('option', '选择…', { value: '' }), ...options.map((id) => make('option', id, { value: id })));
    menu.setAttribute('aria-label', question);
    box.append(menu);
  }
  const row = make('div', '', { className: 'row' });
  for (const [key, words] of face.buttons) {
    row.append(make('button', words, {
      onclick: () => inChat({ do: 'click', number: bubble.number, key, chosen: Object.fromEntries(Object.entries(chosen).filter(([, ids]) => ids.length)) }),
    }));
  }
  for (const words of face.faded) row.append(make('span', words, { className: 'button faded' }));
  box.append(row);
  return box;
}

function drawBubble(bubble) {
  const item = make('li', '', { className: bubble.by && bubble.by === me() ? 'own' : '' });
  const at = new Date(bubble.at).toLocaleTimeString('zh-CN', { hour12: false });
  item.append(make('div', `${bubble.by || label(bubble.channel)} · ${at}${bubble.finished ? '' : ' · 正在输入…'}`, { className: 'who' }));
  const box = bubble.card ? drawCard(bubble) : make('div', bubble.text, { className: 'bubble' });
  if (bubble.quote) box.prepend(make('div', bubble.quote, { className: 'quote' }));
  if (bubble.recalled) box.classList.add('gone');
  for (const [key, words] of bubble.menu) box.append(make('button', words, { onclick: () => inChat({ do: 'choose', number: bubble.number, key }) }));
  item.append(box);
  return item;
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
  const low = $('talk').scrollHeight - $('talk').scrollTop - $('talk').clientHeight < 40;
  $('talk').replaceChildren(...state.bubbles.filter(mine).map(drawBubble));
  if (low) $('talk').scrollTop = $('talk').scrollHeight;
  if (!$('accounts').contains(document.activeElement)) drawAccounts();
  log('pushes', state.pushes.map((push) => [`${push.statuses.join(' ')}${push.done ? '' : ' …'} ${push.url}`, push.done && push.statuses.at(-1) !== 200]));
  log('calls', state.calls.map((call) => [`${call.code} ${call.path}`, call.code !== 0]));
  log('complaints', state.complaints.map((words) => [words, true]));
  $('state').textContent = [state.down ? '平台中断' : '', state.untrusted ? 'IP 不可信' : ''].filter(Boolean).join(' · ');
}

async function listen() {
  for (;;) {
    try {
      const answer = await fetch(`/page/news?after=${state.version}`, { headers: { 'X-Platform': '1' } });
      if (answer.status === 200) { state = await answer.json(); draw(); }
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
  if (text && await inChat({ do: 'say', text })) $('words').value = '';
});
$('words').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); $('compose').requestSubmit(); }
});
$('arrive').addEventListener('click', () => inChat({ do: 'arrive', scene: $('scene').value.trim() }));
$('photo').addEventListener('change', () => {
  const reader = new FileReader();
  reader.onload = async () => {
    if (await inChat({ do: 'photo', data: reader.result.split(',')[1], text: $('words').value.trim() })) $('words').value = '';
    $('photo').value = '';
  };
  if ($('photo').files[0]) reader.readAsDataURL($('photo').files[0]);
});
$('new-group').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  if (await act({ do: 'group', name: form.name.value, members: form.members.value.split(/[,，、]/) })) form.reset();
});
$('faults').addEventListener('click', (event) => { if (event.target.dataset.kind) act({ do: 'fault', kind: event.target.dataset.kind }); });
listen();
