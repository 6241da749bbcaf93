/** Programs whose hosts file, name server and network are their own: Linux namespaces, where this user may have them. */
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const SCRIPT = [
  'ip link set lo up',
  'mount --bind "$0/hosts" /etc/hosts',
  'mount --bind "$0/resolv.conf" /etc/resolv.conf',
  'exec "$@"'
].join(' && ')

/** What `unshare` is called with, up to the command that it becomes in the end. */
function inNamespaces(folder: string): string[] {
  return ['--map-root-user', '--mount', '--net', 'sh', '-c', SCRIPT, folder]
}

function write(hosts: string, resolvConf: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'names-'))
  writeFileSync(join(folder, 'hosts'), hosts)
  writeFileSync(join(folder, 'resolv.conf'), resolvConf)
  return folder
}

/** Whether this machine lets this user have namespaces. */
export function hasNamespaces(): boolean {
  const folder = write('', '')
  const { status } = spawnSync('unshare', [...inNamespaces(folder), 'true'])
  rmSync(folder, { recursive: true })
  return status === 0
}

/** Forks a program of `test/support/programs` with these two files in /etc; it is killed when the test is over. */
export function forkWithNames(
  name: string,
  args: string[],
  files: { hosts: string; resolvConf: string }
): ChildProcess {
  const folder = write(files.hosts, files.resolvConf)
  const child = fork(fileURLToPath(new URL(`programs/${name}`, import.meta.url)), args, {
    execPath: 'unshare',
    execArgv: [...inNamespaces(folder), process.execPath]
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  })
  return child
}
