// Signs and verifies with the npm package, as a vendor's service would: one JSON command on stdin, one answer on stdout.
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { readFileSync } from "node:fs";

const { secret, sign, verify, stripe } = JSON.parse(readFileSync(0, "utf8"));
const answer = {};
if (stripe) {
  const { payload, timestamp } = stripe;
  answer.header = Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
}
const webhook = new Webhook(secret);
if (sign) answer.signature = webhook.sign(sign.id, new Date(sign.timestamp * 1000), sign.body);
if (verify) {
  try {
    answer.verified = webhook.verify(verify.body, verify.headers);
  } catch (error) {
    answer.refused = error.message;
  }
}
process.stdout.write(JSON.stringify(answer));
