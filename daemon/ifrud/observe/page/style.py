"""The status page's style sheet, light or dark as the reader's system is."""

STYLE = """
:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--line:#dde1e7;--text:#1a1e24;--soft:#566070;
--accent:#1f5fae;--other:#a8500a;--bad:#b3211a;--bad-bg:#fdecea;--warn:#7a5100;--warn-bg:#fff4d9;--good:#17693a;
--good-bg:#e4f4ea;--busy:#1f5fae;--busy-bg:#e6eefa}
@media(prefers-color-scheme:dark){:root{--page:#0f1216;--card:#171b21;--line:#2c323b;--text:#e7eaef;--soft:#a0a9b6;
--accent:#76b3f7;--other:#f2a562;--bad:#ff9a90;--bad-bg:#3a1a18;--warn:#f3c75c;--warn-bg:#332811;--good:#6bd695;
--good-bg:#14301f;--busy:#76b3f7;--busy-bg:#16263a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main,footer{max-width:1160px;margin:0 auto;padding:0 20px}
header{display:flex;flex-wrap:wrap;gap:4px 20px;align-items:baseline;padding-top:22px;padding-bottom:14px}
h1{font-size:21px;margin:0}h2{font-size:16px;margin:0 0 10px}h3{font-size:15.5px;margin:0}
header p,footer p,.soft{color:var(--soft);margin:0}header .when{margin-left:auto}
code,.code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
a{color:var(--accent)}
section,.tile{background:var(--card);border:1px solid var(--line);border-radius:10px}
section{padding:16px 18px;margin:0 0 16px;min-width:0}
.health{border-left:6px solid var(--state);padding:14px 18px}
.health>h2{font-size:19px;color:var(--state);margin:0}.health>p{margin:2px 0 0}
.good{--state:var(--good)}.busy{--state:var(--busy)}.bad,.failure{--state:var(--bad);--state-bg:var(--bad-bg)}
.warn,.warning{--state:var(--warn);--state-bg:var(--warn-bg)}
.findings{list-style:none;margin:14px 0 0;padding:0;display:grid;gap:10px}
.findings li{background:var(--state-bg);border-radius:8px;padding:11px 14px}
.findings p{margin:3px 0 0}.findings .todo{font-weight:600}
.kind{display:inline-block;color:var(--state);border:1px solid;border-radius:4px;font-size:11.5px;font-weight:700;
letter-spacing:.04em;text-transform:uppercase;padding:0 6px;margin-right:8px;vertical-align:2px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(168px,1fr));gap:12px;margin:0 0 16px}
.tile{padding:11px 14px;margin:0}.tile dt{color:var(--soft);font-size:13px}
.tile dd{margin:0}.tile .value{font-size:22px;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.tile .note{color:var(--soft);font-size:13px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:0 16px}
figure{margin:0}figcaption{color:var(--soft);font-size:13px;margin:-6px 0 8px}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:11.5px}svg .end{text-anchor:end}
svg .grid{stroke:var(--line)}svg .limit{stroke:var(--bad);stroke-dasharray:5 4}
svg text.limit{fill:var(--bad);stroke:none}
.series polyline{fill:none;stroke:var(--hue);stroke-width:2;stroke-linejoin:round}.series circle{fill:var(--hue)}
.s0{--hue:var(--accent)}.s1{--hue:var(--other)}.s1 polyline{stroke-dasharray:2 3}
.key{list-style:none;display:flex;gap:18px;margin:4px 0 0;padding:0;font-size:13px;color:var(--soft)}
.key li::before{content:"";display:inline-block;width:14px;height:3px;background:var(--hue);margin-right:6px;
vertical-align:4px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--soft);font-size:13px;padding-bottom:4px}
th,td{text-align:left;padding:5px 14px 5px 0;border-top:1px solid var(--line);vertical-align:top}
thead th,thead td{border-top:0}thead th{color:var(--soft);font-weight:600;font-size:13px;white-space:nowrap}
tbody th{font-weight:500}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}th.number{text-align:right}
td.wide{width:45%;vertical-align:middle;padding-right:0}.bar{height:9px}.bar rect{fill:var(--accent)}
tr.failure th,tr.failure td{color:var(--bad);font-weight:600}tr.failure .bar rect{fill:var(--bad)}
.scroll+.scroll{margin-top:16px}
.none{color:var(--soft);margin:0}footer{padding-bottom:30px;font-size:13px}
"""
