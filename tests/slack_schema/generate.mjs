/**
 * Prints the JSON Schema of what Slack takes on its three surfaces, made from Slack's own types (npm @slack/types).
 *
 * The types carry no limits, but the comments beside them do ("Maximum length for this field is 255 characters"): each
 * becomes a keyword of the schema. A comment that speaks of a limit in words not known here ends the run, so that a
 * newer version of the types cannot lose one in silence. Unions become one branch for each `type`, which says what is
 * wrong with a block instead of that it is none of twenty.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createGenerator } from 'ts-json-schema-generator';

const SURFACES = ['Message', 'Modal', 'Home'];

// What a sentence of a comment may limit, and how.
const LENGTH = /(?:maximum|max) length (?:[\w `]+? )??(?:is|of) (\d+) char|limit (\d+) char/i;
const LEAST_LENGTH = /minimum length (?:[\w `]+? )??is (\d+)\b/i;
const ITEM_LENGTH = /maximum length for the text in each item is (\d+) char/i;
const ITEMS = /(?:maximum of|maximum number of [\w ]+ is|max of|up to|maximum) (\d+)(?! char)/i;
const MOST = /maximum value is (\d+)/i;
const LEAST = /minimum number is (\d+)/i;
const KNOWN = [LENGTH, LEAST_LENGTH, ITEM_LENGTH, ITEMS, MOST, LEAST];
// Limits this schema does without: of numbers in inputs that take rich text or files, of tables, of dates.
const LEFT_OUT = [/`HH:mm`/, /minutes ago/, /between 1 and 100/, /Minimum of `1`/, /Min `1`/, /20 table cells/];

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const generator = createGenerator({
  path: here('surfaces.ts'),
  tsconfig: here('tsconfig.json'),
  jsDoc: 'extended',
  additionalProperties: false,
});
const definitions = Object.assign({}, ...SURFACES.map((name) => generator.createSchema(name).definitions));

/** The part itself, or what it refers to. */
const meant = (part) => (part.$ref ? definitions[decodeURIComponent(part.$ref.split('/').at(-1))] : part);

/** What the comment beside a property says of its limits, as keywords. */
function limits(part, comment) {
  const sentences = comment.replaceAll(/\s+/g, ' ').replaceAll(/(\d),(\d{3})/g, '$1$2').split(/(?<=\.) /);
  const found = {};
  for (const sentence of sentences.filter((each) => /\d/.test(each) && /max|min|up to|limit/i.test(each))) {
    if (LEFT_OUT.some((rule) => rule.test(sentence))) continue;
    if (!KNOWN.some((rule) => rule.test(sentence))) throw new Error(`a limit in words not known here: ${sentence}`);
    const number = (rule) => sentence.match(rule)?.slice(1).find(Boolean);
    const set = (into, name, digits) => digits && Object.assign(into, { [name]: Number(digits) });
    if (part.type === 'array' && number(ITEM_LENGTH)) {
      found.items = { properties: { text: { maxLength: Number(number(ITEM_LENGTH)) } } };
    } else if (part.type === 'array') {
      set(found, 'maxItems', number(ITEMS));
    } else if (part.type === 'number') {
      set(found, 'maximum', number(MOST));
      set(found, 'minimum', number(LEAST));
    } else {
      const text = {};
      set(text, 'minLength', number(LEAST_LENGTH));
      set(text, 'maxLength', number(LENGTH));
      if (part.type === 'string') Object.assign(found, text);
      else if (Object.keys(text).length) found.properties = { text };
    }
  }
  return found;
}

/** The members of a union, those of unions among them too. */
const members = (parts) => parts.flatMap((part) => (meant(part).anyOf ? members(meant(part).anyOf) : [part]));

/** A union whose members differ in their `type`, as one branch for each; undefined for any other union. */
function branches(parts) {
  const byType = new Map();
  for (const part of members(parts)) {
    const type = meant(part).properties?.type?.const;
    if (type === undefined) return undefined;
    byType.set(type, [...(byType.get(type) ?? []), tidy(part)]);
  }
  if (byType.size < 2) return undefined;
  const allOf = [...byType].map(([type, found]) => ({
    if: { properties: { type: { const: type } } },
    then: found.length === 1 ? found[0] : { anyOf: found },
  }));
  return { type: 'object', required: ['type'], properties: { type: { enum: [...byType.keys()] } }, allOf };
}

/** A schema without its comments, and with what they say of limits. */
function tidy(part) {
  if (Array.isArray(part)) return part.map(tidy);
  if (part === null || typeof part !== 'object') return part;
  const { description, deprecated, default: standard, ...rest } = part;
  const whole = (rest.anyOf && branches(rest.anyOf)) || Object.fromEntries(Object.entries(rest).map(tidyKeyword));
  const more = description && !rest.properties ? limits(rest, description) : {};
  if (Object.keys(more).length === 0) return whole;
  const isSimple = !whole.$ref && !whole.allOf && !whole.anyOf && !more.items;
  return isSimple ? { ...whole, ...more } : { allOf: [whole, more] };
}

function tidyKeyword([key, value]) {
  if (key === 'properties') {
    return [key, Object.fromEntries(Object.entries(value).map(([name, part]) => [name, tidy(part)]))];
  }
  return [key, key === 'const' || key === 'enum' ? value : tidy(value)];
}

const version = JSON.parse(readFileSync(here('package.json'))).dependencies['@slack/types'];
const sorted = Object.keys(definitions).sort();
const schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  $comment: `Made by \`make slack-schema\` from npm @slack/types ${version} (MIT, Slack Technologies).`,
  definitions: Object.fromEntries(sorted.map((name) => [name, tidy(definitions[name])])),
};
console.log(JSON.stringify(schema, null, 1));
