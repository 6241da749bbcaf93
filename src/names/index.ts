export { NameError, Names, QUERY, type Dns, type NamesInit, type ResultOrder } from './names.ts'
