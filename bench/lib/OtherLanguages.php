<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** The clients in Go and Java (bench/go, bench/java), for FULL=1. One that cannot be built here is left out. */
final class OtherLanguages
{
    private const TOP = __DIR__ . '/../..';

    /** Without a C compiler, as in scripts/sdks; a Go from 1.21 on downloads a newer Go itself. */
    private const BUILD = [
        'go-amqp' => [['go'], 'cd bench/go && CGO_ENABLED=0 go build -buildvcs=false -o ../../build/bench/go-amqp .'],
        'Java' => [['javac', 'java', 'mvn'], 'cd bench/java && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
            . ' -DoutputDirectory="$PWD/../../build/bench/java" -DincludeScope=runtime && javac -cp "../../build/bench/java/*" -d ../../build/bench/java Peer.java'],
    ];

    /** @var array<string, ?string> client => why it is missing */
    private static array $missing = [];

    /** Why a client cannot be used here; null if it can, or if it is one of PHP's. */
    public static function missing(string $client): ?string
    {
        if (!isset(self::BUILD[$client])) {
            return null;
        }
        if (!array_key_exists($client, self::$missing)) {
            self::$missing[$client] = self::build($client, ...self::BUILD[$client]);
        }

        return self::$missing[$client];
    }

    /** @param list<string> $programs */
    private static function build(string $client, array $programs, string $command): ?string
    {
        foreach ($programs as $program) {
            exec("command -v $program", $_, $code);
            if ($code !== 0) {
                return "$client: $program is not installed";
            }
        }
        fwrite(STDERR, "building the client $client\n");
        @mkdir(self::TOP . '/build/bench', 0777, true);
        exec('cd ' . escapeshellarg(self::TOP) . " && { $command; } 2>&1", $said, $code);

        return $code === 0 ? null : "$client: it could not be built: " . trim(end($said) ?: "exit status $code");
    }

    /** @return list<string> the program, without its task */
    public static function command(string $client): array
    {
        $folder = self::TOP . '/build/bench';

        return $client === 'Java' ? ['java', '-cp', "$folder/java:$folder/java/*", 'Peer'] : ["$folder/go-amqp"];
    }
}
