<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Certificates;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Sockets;
use Amqp1\Tests\Support\TlsPeer;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** No password and no key appear in anything that PHP can show about a failure. */
final class SecretsTest extends TestCase
{
    private const SECRET = 'Tr0ub4dor@hunter2/Zebra?corr3ct#h0rse';

    private const QUICK = ['timeout' => 0.6, 'redial_timeout' => 0.3];

    /** @var list<string> what a case made */
    private static array $files = [];

    protected function tearDown(): void
    {
        array_map('unlink', self::$files);
        self::$files = [];
    }

    /** Forms of the secret, and its parts: a DSN that is cut at the wrong character must not reveal one either. */
    private static function forms(): array
    {
        $basic = [self::SECRET, rawurlencode(self::SECRET), urlencode(self::SECRET), addcslashes(self::SECRET, '/'),
            base64_encode(self::SECRET), base64_encode("\0user\0" . self::SECRET)];

        return [...$basic, ...preg_split('~[@/?#]~', self::SECRET)];
    }

    private static function dsn(string $address, string $scheme = 'amqp'): string
    {
        return "$scheme://user:" . rawurlencode(self::SECRET) . "@$address";
    }

    /** The base64 lines of the key. */
    private static function keyLines(string $file): array
    {
        return array_values(array_filter(
            file(Certificates::path($file), FILE_IGNORE_NEW_LINES),
            static fn (string $line) => !str_starts_with($line, '-----')
        ));
    }

    /** @return array<string, array{string, callable}> the class that is thrown, and what makes the case */
    public static function failures(): array
    {
        $refused = static fn () => self::dsn(Sockets::refused());
        $key = static fn () => file_get_contents(Certificates::path('client.key'));
        $wrong = static fn (string $dsn) => ['Config', static fn () => ['construct', $dsn, []]];
        $inTls = static fn (callable $tls) => ['Config', static fn () => ['construct', self::dsn('localhost', 'amqps'), ['tls' => $tls()]]];

        return [
            'unknown scheme' => $wrong(self::dsn('localhost', 'ampq')),
            'no scheme' => $wrong('user:' . self::SECRET . '@localhost'),
            'a password in front of the scheme' => $wrong('user:' . self::SECRET . '://localhost'),
            'wrong port' => $wrong(self::dsn('localhost:99999')),
            'no host' => $wrong(self::dsn('')),
            'the host forgotten' => $wrong('amqp://user:Tr0ub4dor'),
            'a raw password' => $wrong('amqp://user:' . self::SECRET . '@localhost'),
            'a raw slash' => $wrong('amqp://user:Tr0ub4dor/Zebra@localhost'),
            'a raw question mark' => $wrong('amqp://user:5672?Tr0ub4dor@localhost'),
            'a password that is no UTF-8' => $wrong('amqp://user:Tr0ub4dor%ff@localhost'),
            'credentials for embedded://' => $wrong(self::dsn('tests', 'embedded')),
            'unknown option' => ['Config', static fn () => ['construct', $refused(), ['colour' => 1]]],
            'wrong option' => ['Config', static fn () => ['construct', $refused(), ['timeout' => 'soon']]],
            'unknown option in the query' => ['Config', static fn () => ['construct', $refused() . '?colour=1', []]],
            'wrong credentials' => ['Authentication', static function () {
                $broker = ProgramBroker::start(['--user', 'user:other']);

                return ['push', self::dsn(self::address($broker)), [], $broker];
            }],
            'unreachable, push' => ['Connection', static fn () => ['push', $refused(), self::QUICK]],
            'unreachable, consume' => ['Connection', static fn () => ['consume', $refused(), self::QUICK]],
            'unreachable, two hosts' => ['Connection', static fn () => ['push', $refused() . ',' . Sockets::refused(), self::QUICK]],
            'batch' => ['Batch', static fn () => self::withABroker('batch')],
            'TLS' => ['Connection', static function () {
                $peer = TlsPeer::start('expired');
                $tls = ['root_ca' => Certificates::path('ca.pem')] + Certificates::pair('client');

                return ['push', self::dsn("localhost:$peer->port", 'amqps'), ['tls' => $tls] + self::QUICK, $peer];
            }],
            'lost connection' => ['Connection', static fn () => self::withABroker('lost')],
            'a key in place of its path' => $inTls(static fn () => ['cert' => Certificates::path('client.pem'), 'key' => $key()]),
            'a key on one line' => $inTls(static fn () => ['cert' => '/c.pem', 'key' => implode('', self::keyLines('client.key'))]),
            'a key as DER' => $inTls(static fn () => ['cert' => Certificates::path('client.pem'), 'key' => base64_decode(implode('', self::keyLines('client.key')))]),
            'a key as tls' => $inTls($key),
            'a key as CA' => $inTls(static fn () => ['root_ca' => $key()]),
            'a key file as CA' => $inTls(static fn () => ['root_ca' => Certificates::path('client.key')]),
            'a key of another certificate' => $inTls(static fn () => ['cert' => Certificates::path('server.pem'), 'key' => Certificates::path('client.key')]),
            'a connection string without its rule' => $wrong('Endpoint=sb://ns/;SharedAccessKey=' . self::SECRET),
            'a connection string with two keys' => $wrong('Endpoint=sb://ns/;SharedAccessKeyName=r;SharedAccessKey=' . self::SECRET
                . ';SharedAccessSignature=' . self::SECRET),
            'a connection string without a host' => $wrong('Endpoint=' . self::SECRET . ';SharedAccessKeyName=r;SharedAccessKey=x'),
            'a key that another broker does not take' => ['Config', static fn () => ['construct', 'amqp://localhost', ['token' => self::SECRET]]],
            'a token that is none' => ['Config', static fn () => ['construct', 'sb://ns', ['token' => 'two words ' . self::SECRET]]],
            'a key of Service Bus that is refused' => ['Authentication', static function () {
                $broker = ProgramBroker::serviceBus();

                return ['push', $broker->connectionString(self::SECRET), self::QUICK, $broker];
            }],
            'a token that is refused' => ['Authentication', static function () {
                $broker = ProgramBroker::serviceBus();
                $dsn = 'amqp://' . self::address($broker) . '/?dialect=servicebus';

                return ['push', $dsn, ['token' => self::SECRET] + self::QUICK, $broker];
            }],
            'a configuration with a wrong key' => self::configuration(['amqp1' => ['addr' => self::dsn('localhost'), 'colour' => 1]]),
            'a configuration with a wrong address' => self::configuration(['amqp1' => ['addr' => self::dsn('localhost:99999')]]),
            'a configuration whose address is a map' => self::configuration(['amqp1' => ['addr' => ['dsn' => self::dsn('localhost')]]]),
            'a configuration with a key in it' => self::configuration(['amqp1' => ['addr' => self::dsn('localhost', 'amqps'), 'tls' => ['root_ca' => $key()]]]),
            'a section that is the address' => self::configuration(['amqp1' => self::dsn('localhost')]),
            'addresses that differ' => self::configuration(['amqp1' => ['addr' => [self::dsn('a'), 'amqp://other:' . rawurlencode(self::SECRET) . '@b']]]),
            'a variable within the password' => self::configuration(['amqp1' => ['addr' => 'amqp://user:' . self::SECRET . '${AMQP1_NOT_SET}@h']]),
            'an address in place of a path' => ['Config', static fn () => ['path', self::dsn('localhost'), []]],
            'JSON in place of a path' => ['Config', static fn () => ['path', '{"amqp1": {"addr": ["' . self::SECRET . '"]}}', []]],
            'a file that is wrong' => self::configuration("amqp1:\n  addr: \"" . self::dsn('localhost') . "\"\n  addr: x\n"),
            'a file that is cut off' => self::configuration("amqp1:\n  addr: [\"" . self::dsn('localhost') . "\""),
            'JSON that is wrong' => self::configuration('{"amqp1": {"addr": ' . self::dsn('localhost') . '}}'),
            'a pipeline that is not there' => ['Config', static fn () => ['pipeline', '', ['amqp1' => ['addr' => self::dsn('localhost')]]]],
            'a damaged key' => $inTls(static function () {
                $damaged = self::$files[] = tempnam(sys_get_temp_dir(), 'amqp1-damaged-');
                file_put_contents($damaged, "-----BEGIN PRIVATE KEY-----\n" . implode("\n", self::keyLines('client.key')) . '!');

                return ['cert' => Certificates::path('client.pem'), 'key' => $damaged];
            }),
        ];
    }

    /** Text is a file's. */
    private static function configuration(array|string $configuration): array
    {
        return ['Config', static fn () => ['jobs', '', is_string($configuration) ? ['text' => $configuration] : $configuration]];
    }

    private static function address(ProgramBroker $broker): string
    {
        return substr(strrchr($broker->dsn, '@'), 1);
    }

    /** A broker for this case only, which the child kills. */
    private static function withABroker(string $what): array
    {
        $broker = ProgramBroker::start(['--user', 'user:' . self::SECRET]);

        return [$what, self::dsn(self::address($broker)), ['timeout' => 2, 'redial_timeout' => 0.5], $broker, $broker->pid()];
    }

    /** @dataProvider failures */
    #[DataProvider('failures')]
    public function testNothingShowsASecret(string $class, callable $make): void
    {
        // What is held here lives as long as the child.
        [$what, $dsn, $options, $held, $broker] = $make() + [3 => null, 4 => 0];
        $output = $this->show(['what' => $what, 'dsn' => $dsn, 'options' => $options, 'broker' => $broker]);

        self::assertStringContainsString("thrown: Amqp1\\Exception\\{$class}Exception\n", $output);
        $ways = ['message', 'string', 'trace', 'var_dump', 'print_r', 'var_export', 'debug_zval', 'array', 'json', 'serialize', '--ri', 'phpinfo', 'error log', 'warning', 'uncaught'];
        foreach ($ways as $way) {
            self::assertStringContainsString("--- $way\n", $output);
        }
        self::assertStringContainsString('logged: Amqp1\\Exception', $output, 'the error log is in what was looked at');
        self::assertStringContainsString('Warning: warned: ', $output);
        self::assertStringContainsString('Fatal error: Uncaught', $output);
        self::assertSame([], $this->shown($output));
        unset($held);
    }

    public function testThisTestWouldFindASecret(): void
    {
        self::assertContains(self::SECRET, $this->shown($this->show(['what' => 'leak', 'secret' => self::SECRET])));
        self::assertNotEmpty($this->shown($this->show(['what' => 'leak', 'secret' => self::keyLines('client.key')[1]])));
    }

    /** @return list<string> the secrets that are in the output */
    private function shown(string $output): array
    {
        $secrets = [...self::forms(), ...self::keyLines('client.key')];

        return array_values(array_filter($secrets, static fn (string $secret) => stripos($output, $secret) !== false));
    }

    /** @param array<string, mixed> $case */
    private function show(array $case): string
    {
        $file = tempnam(sys_get_temp_dir(), 'amqp1-case-');
        file_put_contents($file, '<?php return ' . var_export($case, true) . ';');
        try {
            // PHP 8.1 does not know #[SensitiveParameter]: its ini setting has to leave arguments out of traces.
            $ignore = 'zend.exception_ignore_args=' . (PHP_VERSION_ID < 80200 ? 1 : 0);

            return Child::run('require $argv[2];', [$file, __DIR__ . '/Support/secrets.php'], ['-d', $ignore,
                '-d', 'zend.exception_string_param_max_len=1000000', '-d', 'log_errors=1', '-d', 'error_log=', '-d', 'html_errors=0'], 255);
        } finally {
            unlink($file);
        }
    }
}
