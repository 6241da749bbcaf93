/** What came of the changes: told by room, judged by the list, written to files. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

/** Longest text of what was changed and into what. */
const MAX_TEXT = 80

/** The lines of every source. */
export function sourcesOf(root) {
  const names = readdirSync(join(root, 'src'), { recursive: true }).filter(name =>
    String(name).endsWith('.ts')
  )
  return new Map(
    names.map(name => [
      `src/${String(name)}`,
      readFileSync(join(root, 'src', String(name)), 'utf8').split('\n')
    ])
  )
}

/** One change: where it is, as text that stays when lines move, and whether a test noticed it. */
export function describe(result, root, sources) {
  const file = relative(root, resolve(root, result.fileName))
  const lines = sources.get(file)
  const [start, end] = [result.location.start, result.location.end].map(fromOne)
  const source = textBetween(lines, start, end)
  return {
    file,
    room: file.split('/')[1],
    line: start.line + 1,
    at: lines[start.line].trim(),
    change: `${short(source)} → ${short(result.replacement)}`,
    mutator: result.mutatorName,
    outcome: outcomeOf(result)
  }
}

/** A change that keeps the sources from loading, or throws where nobody catches, ends a run of the tests as well. */
function outcomeOf({ status, testsCompleted }) {
  if (status === 'Killed' || status === 'Timeout' || status === 'RuntimeError') return 'noticed'
  if (status === 'NoCoverage') return 'unreached'
  if (status === 'Survived') return testsCompleted === 0 ? 'not run' : 'survived'
  return status.toLowerCase()
}

/** Lines and columns count from 1. */
function fromOne({ line, column }) {
  return { line: line - 1, column: column - 1 }
}

function textBetween(lines, start, end) {
  if (start.line === end.line) return lines[start.line].slice(start.column, end.column)
  const between = lines.slice(start.line + 1, end.line)
  return [lines[start.line].slice(start.column), ...between, lines[end.line].slice(0, end.column)].join('\n')
}

function short(text) {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line
}

/** Scores by room, and what is judged in the list but has been noticed, or is no longer there. */
export function summarise(changes, judged) {
  const rooms = new Map()
  const used = new Set()
  for (const change of changes) {
    if (change.outcome === 'ignored') continue
    const room = rooms.get(change.room) ?? { name: change.room, noticed: 0, judged: [], survivors: [] }
    rooms.set(change.room, room)
    if (change.outcome === 'noticed') {
      room.noticed++
      continue
    }
    const entry = judged[change.file]?.find(
      ({ at, change: text }) => at === change.at && text === change.change
    )
    if (entry === undefined) room.survivors.push(change)
    else {
      used.add(entry)
      room.judged.push({ ...change, why: entry.why })
    }
  }
  const files = new Set(changes.map(({ file }) => file))
  const stale = Object.entries(judged)
    .filter(([file]) => files.has(file))
    .flatMap(([file, entries]) =>
      entries.filter(entry => !used.has(entry)).map(entry => ({ file, ...entry }))
    )
  return { rooms: [...rooms.values()].map(withScore), stale }
}

function withScore(room) {
  const counted = room.noticed + room.survivors.length
  return { ...room, counted, score: counted === 0 ? 100 : (100 * room.noticed) / counted }
}

/** Writes the report, and what survived in the form of the list of judged ones; the text for the screen. */
export function report(rooms, stale, floor, folder) {
  const scores = [
    '| room | changes that count | noticed | survivors | judged | score |',
    '| --- | --: | --: | --: | --: | --: |',
    ...rooms.map(
      ({ name, counted, noticed, survivors, judged, score }) =>
        `| ${name} | ${counted} | ${noticed} | ${survivors.length} | ${judged.length} | ${score.toFixed(1)} %${score < floor ? `, wanted ${floor}` : ''} |`
    )
  ]
  const told = rooms.flatMap(({ name, survivors, judged }) => [
    ...section(`${name}: survivors`, survivors, ({ outcome }) => outcome),
    ...section(`${name}: judged`, judged, ({ why }) => why)
  ])
  const gone = stale.map(({ file, at, change }) => `- ${file}: \`${change}\` in \`${at}\``)
  if (gone.length > 0) told.push('', '## judged, and no longer surviving: take out', '', ...gone)
  const text = [...scores, ...told].join('\n')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'report.md'), `# Changes and whether a unit test noticed\n\n${text}\n`)
  writeFileSync(join(folder, 'survivors.json'), `${JSON.stringify(asList(rooms), undefined, 2)}\n`)
  return `${text}\n\nwritten to ${folder}`
}

function section(title, changes, remark) {
  if (changes.length === 0) return []
  return [
    '',
    `## ${title}`,
    '',
    ...changes.map(change => {
      const { file, line, at, change: text } = change
      return `- ${file}:${line} \`${text}\` in \`${at}\` (${remark(change)})`
    })
  ]
}

function asList(rooms) {
  const list = {}
  for (const { file, at, change } of rooms.flatMap(({ survivors }) => survivors)) {
    const entries = (list[file] ??= [])
    if (!entries.some(entry => entry.at === at && entry.change === change))
      entries.push({ at, change, why: '' })
  }
  return list
}
