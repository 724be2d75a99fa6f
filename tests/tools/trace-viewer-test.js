// Appended to a page of tests/tools/trace-page.sh: uses it as a hand would, and notes in the page
// what was seen. tests/tools/trace.sh reads that.
'use strict';
const notes = document.body.appendChild(document.createElement('pre'));
const note = (what, held) => { notes.textContent += `${held ? 'held' : 'NOT'}: ${what}\n`; };
addEventListener('error', e => note('no error: ' + e.message, false));

function hand(type, x, y, more) {
  const box = canvas.getBoundingClientRect(), Kind = type === 'wheel' ? WheelEvent : PointerEvent;
  canvas.dispatchEvent(new Kind(type, { clientX: x + box.left, clientY: y + box.top, bubbles: true,
                                        cancelable: true, ...more }));
}
const pixel = (x, y) => pen.getImageData(x, y, 1, 1).data.join(); // at one pixel a point

draw();
const s = model.tracks.flatMap(t => t.slices).filter(x => x.args.task && x.ins.length)
  .reduce((a, b) => b.to - b.from > a.to - a.from ? b : a);
const x = Math.round((xOf(s.from) + xOf(s.to)) / 2), y = s.track.y + 5, before = { ...view };
note('every arrow has its two slices',
     model.arrows.every(a => a.source.outs.includes(a) && a.target.ins.includes(a)));
note('slices of a track are in order and apart',
     model.tracks.every(t => t.slices.every((b, i, all) => !i || all[i - 1].to <= b.from + 5e-4)));
note('the slice is painted', pixel(x, y) !== pixel(x, s.track.y - 7));

hand('pointermove', x, y);
const tip = $('tip').textContent;
note('the tip names the task', tip.startsWith(`task ${s.args.task} "${s.name}" ran `));
note('and says what it did then', tip.includes('then: ' + s.args.then));
note('and who woke it', tip.includes(`after ${s.ins[0].name}, by `));
hand('pointerdown', x, y);
hand('pointerup', x, y);
note('a click selects', selected === s && $('detail').textContent.includes(s.args.spawned));

const under = timeOf(x);
hand('wheel', x, y, { deltaY: -100 });
note('the wheel zooms in', view.to - view.from < (before.to - before.from) * .8);
note('at the pointer', Math.abs(timeOf(x) - under) < (view.to - view.from) / 1000);
const zoomed = { ...view };
hand('pointerdown', x, y);
hand('pointermove', x + 40, y);
hand('pointerup', x + 40, y);
note('dragging moves', view.from < zoomed.from);
note('with the pointer', Math.abs(timeOf(x + 40) - under) < (view.to - view.from) / 1000);
note('and selects nothing', selected === s);
hand('dblclick', x, y);
note('a double click shows all of it', view.from <= model.from && view.to >= model.to);
hand('pointerleave', x, y);
note('the tip goes', $('tip').style.display === 'none');

const words = $('summary').textContent;
show('{"traceEvents": 1}', 'no trace');
note('what is no trace is refused', $('summary').textContent.startsWith('not a trace: '));
$('summary').textContent = words;
