import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'

/** The command line is not one that this program understands: exit code 2. */
export class UsageError extends Error {
  /** The command that was not understood, or nothing: for a hint at its help. */
  readonly command: string

  constructor(message: string, command = '') {
    super(command === '' ? message : `${command}: ${message}`)
    this.command = command
  }
}

const HELP_OPTION = { help: { type: 'boolean', short: 'h' } } as const

/** Arguments of a command; every command has `--help`. @throws UsageError */
export function parse<const T extends NonNullable<ParseArgsConfig['options']>>(
  command: string,
  args: string[],
  options: T
): ReturnType<typeof parseArgs<{ options: T & typeof HELP_OPTION; allowPositionals: true; args: string[] }>> {
  try {
    return parseArgs({ args, options: { ...options, ...HELP_OPTION }, allowPositionals: true })
  } catch (err) {
    // Only the first sentence: the rest of parseArgs' advice is about its own API.
    const [sentence = ''] = (err as Error).message.split('. ')
    throw new UsageError(sentence, command)
  }
}
