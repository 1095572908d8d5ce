// The case of a subscription's rules, for judge.mjs.

import assert from "node:assert/strict";

export function rules({ test, withClient, send, one, none, refused }) {
  test("rules are added, listed and removed", () =>
    withClient(async (client) => {
      const rules = client.createRuleManager("topic", "rules");
      const listed = async () => {
        const found = [];
        // This SDK's iterator yields an undefined rule if there are none.
        for await (const rule of rules.listRules()) if (rule) found.push(rule);
        return found;
      };
      const [first, ...others] = await listed();
      assert.deepEqual([first.name, first.filter, others], ["$Default", { sqlExpression: "1=1" }, []]);
      const receiver = client.createReceiver("topic", "rules", { receiveMode: "receiveAndDelete" });
      // Messages that earlier cases sent to the topic.
      while ((await receiver.receiveMessages(100, { maxWaitTimeInMs: 500 })).length > 0);
      await rules.deleteRule("$Default");
      assert.deepEqual(await listed(), []);
      const green = { subject: "green", applicationProperties: { size: 5, ripe: true } };
      await rules.createRule("green", green);
      await rules.createRule("sql", { sqlExpression: "sys.Label = 'yellow' AND size = 7" }, {
        sqlExpression: "SET seen = 'yes'",
      });
      const [correlation, sql] = await listed();
      assert.deepEqual([correlation.name, correlation.filter.subject], ["green", "green"]);
      assert.deepEqual(correlation.filter.applicationProperties, { size: 5, ripe: true });
      assert.deepEqual(
        [sql.name, sql.filter, sql.action],
        [
          "sql",
          { sqlExpression: "sys.Label = 'yellow' AND size = 7" },
          { sqlExpression: "SET seen = 'yes'" },
        ],
      );
      await refused("MessagingEntityAlreadyExists", () => rules.createRule("GREEN", { sqlExpression: "1=1" }));
      await refused("MessagingEntityNotFound", () => rules.deleteRule("blue"));
      await assert.rejects(rules.createRule("more", { sqlExpression: "size > 5" }), /not supported/);
      const properties = (size, ripe) => ({ applicationProperties: { size, ripe } });
      await send(
        "topic",
        { body: 1, subject: "green", ...properties(5, false) },
        { body: 2, subject: "green", ...properties(5, true) },
        { body: 3, subject: "yellow", ...properties(7) },
        { body: 4, subject: "blue" },
      );
      assert.equal((await one(receiver)).body, 2);
      const yellow = await one(receiver);
      assert.deepEqual([yellow.body, yellow.applicationProperties.seen], [3, "yes"]);
      await none(receiver);
      await assert.rejects(client.createRuleManager("send", "x").deleteRule("y"));
    }));
}
