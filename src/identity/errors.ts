import { P2pError } from '../errors.ts'

/**
 * A key that cannot be used. `form` says what it was taken for and how long it is, `problem` what is wrong
 * with it and what is wanted.
 *
 * There is no `cause`, on purpose: errors from the libraries beneath may quote the numbers of the key.
 */
export function invalidKey(form: string, problem: string): P2pError {
  return new P2pError('ERR_INVALID_KEY', `Invalid key (${form}): ${problem}`)
}
