"""Two screenshots as two drawn phones side by side, for the README."""

import base64
from pathlib import Path
from string import Template

from playwright.sync_api import Browser

LARGEST = 500 * 1024  # bytes of one picture in the repository
# A plain background and no blurred shadow: both keep the PNG small.
PAGE = Template("""<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><style>
  * { box-sizing: border-box; margin: 0; }
  body { width: 1080px; height: 1040px; display: flex; justify-content: center; align-items: center; gap: 96px;
         background: #dfe9e3; font: 500 15px "Noto Sans CJK SC", "Noto Sans SC", sans-serif; color: #191919; }
  .phone { position: relative; width: 414px; padding: 12px; border-radius: 58px; background: #20262a;
           box-shadow: 0 0 0 2px #39424a, 0 0 0 14px #d6e2db; }
  .phone::before, .phone::after { content: ""; position: absolute; width: 4px; border-radius: 2px;
         background: #39424a; }
  .phone::before { left: -5px; top: 150px; height: 62px; box-shadow: 0 78px 0 #39424a; }
  .phone::after { right: -5px; top: 178px; height: 92px; }
  .screen { display: block; overflow: hidden; border-radius: 46px; background: #f7f7f7; }
  .top { position: relative; display: flex; justify-content: space-between; align-items: center; height: 46px;
         padding: 4px 30px 0 34px; background: #ededed; font-variant-numeric: tabular-nums; }
  .top i { position: absolute; left: 50%; top: 12px; width: 104px; height: 28px; margin-left: -52px;
         border-radius: 14px; background: #20262a; }
  .top svg { display: block; }
  img { display: block; width: 390px; height: 844px; }
  .bottom { display: grid; place-items: center; height: 24px; background: #f7f7f7; }
  .bottom b { width: 132px; height: 5px; border-radius: 3px; background: #20262a; }
</style><body>$phones</body></html>""")
PHONE = Template("""<div class="phone"><div class="screen">
  <div class="top"><span>$time</span><i></i><svg width="58" height="14" viewBox="0 0 58 14" fill="#191919">
    <rect x="0" y="9" width="3" height="5" rx="1"/><rect x="5" y="6" width="3" height="8" rx="1"/>
    <rect x="10" y="3" width="3" height="11" rx="1"/><rect x="15" y="0" width="3" height="14" rx="1"/>
    <rect x="29.5" y="1.5" width="23" height="11" rx="3.5" fill="none" stroke="#191919" opacity=".45"/>
    <rect x="31.5" y="3.5" width="16" height="7" rx="2"/><rect x="54" y="5" width="2" height="4" rx="1" opacity=".45"/>
  </svg></div>
  <img src="data:image/png;base64,$picture"><div class="bottom"><b></b></div></div></div>""")


def two_phones(browser: Browser, left: bytes, right: bytes, time: str, path: Path) -> None:
    """Draw them and keep the picture. left, right: PNG of 390 x 844; time: shown in the status bars, as 08:35."""
    shown = [PHONE.substitute(time=time, picture=base64.b64encode(one).decode()) for one in (left, right)]
    page = browser.new_page(viewport={"width": 1080, "height": 1040}, device_scale_factor=2)
    page.set_content(PAGE.substitute(phones="".join(shown)), wait_until="load")
    page.screenshot(path=path)
    page.close()
