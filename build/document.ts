import { readFileSync } from 'node:fs'
import { format } from 'prettier'

/** A document in the form that `npm run check` wants. */
export async function documentOf(text: string): Promise<string> {
  const { prettier } = JSON.parse(readFileSync('package.json', 'utf8')) as { prettier: object }
  return format(text, { ...prettier, parser: 'markdown' })
}
