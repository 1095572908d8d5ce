<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use PHPUnit\Framework\Assert;

/** Prometheus' own parsers and linter (tests/prometheus), and its tool. */
final class Prometheus
{
    /**
     * Asserts that Prometheus understands the text of a scrape, and that each metric in the files of rules is in it.
     *
     * @param list<string> $rules
     *
     * @return array<string, array{type: string, help: string, samples: list<array{labels: array<string, string>, value: mixed}>}>
     */
    public static function parse(string $text, array $rules = []): array
    {
        [$code, $out, $err] = self::check($text, $rules);
        Assert::assertSame([0, ''], [$code, $err], $text);

        return json_decode($out, true, 512, JSON_THROW_ON_ERROR);
    }

    /**
     * @param list<string> $rules
     *
     * @return array{int, string, string} exit code, output, problems
     */
    public static function check(string $text, array $rules = []): array
    {
        [$in, $out, $err] = [tmpfile(), tmpfile(), tmpfile()];
        fwrite($in, $text);
        rewind($in);
        $process = proc_open([self::program(), ...$rules], [$in, $out, $err], $pipes);
        $code = proc_close($process);
        rewind($out);
        rewind($err);

        return [$code, (string) stream_get_contents($out), (string) stream_get_contents($err)];
    }

    /** @return array{int, string} exit code, output of promtool */
    public static function tool(string ...$arguments): array
    {
        exec(implode(' ', array_map('escapeshellarg', [self::program('promtool'), ...$arguments])) . ' 2>&1', $output, $code);

        return [$code, implode("\n", $output)];
    }

    private static function program(string $name = 'prometheus'): string
    {
        static $programs = [];
        if (isset($programs[$name])) {
            return $programs[$name];
        }
        if (getenv('AMQP1_TEST_WITHOUT_SDKS')) {
            getenv('CI')
                ? Assert::fail('AMQP1_TEST_WITHOUT_SDKS is set, and CI leaves nothing out')
                : Assert::markTestSkipped("Prometheus' parsers could not be installed");
        }
        $top = dirname(__DIR__, 2);
        exec(escapeshellarg("$top/scripts/sdks") . ' install ' . $name . ' 2>&1', $output, $status);
        Assert::assertSame(0, $status, "Prometheus' parsers could not be installed:\n" . implode("\n", $output));
        if (!is_file("$top/build/sdks/" . ($name === 'prometheus' ? 'prometheus.stamp' : $name))) {
            Assert::markTestSkipped("Prometheus' parsers could not be installed, and AMQP1_SDKS_OPTIONAL is set");
        }

        return $programs[$name] = "$top/build/sdks/$name";
    }
}
